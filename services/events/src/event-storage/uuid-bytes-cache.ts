// Caches the bytes of ids and texts that recur within a batch: organizations, profiles, names of events.
import { uuidToBytes } from "@muster/core";

/** A cache for the lifetime of one batch. */
export class UuidBytesCache {
  readonly #uuids = new Map<string, Buffer>();
  readonly #texts = new Map<string, Buffer>();

  uuid(id: string): Buffer {
    let bytes = this.#uuids.get(id);
    if (bytes === undefined) {
      bytes = uuidToBytes(id);
      this.#uuids.set(id, bytes);
    }
    return bytes;
  }

  text(text: string): Buffer {
    let bytes = this.#texts.get(text);
    if (bytes === undefined) {
      bytes = Buffer.from(text);
      this.#texts.set(text, bytes);
    }
    return bytes;
  }
}
