// By what an erased event is recognised when it is sent again: a keyed hash, so that the table of them tells
// nobody who has not the installation's key whether somebody's event was there.
import { createHmac } from "node:crypto";
import type { OrganizationId, TrackedEventId } from "@muster/core";

const HASH_BYTES = 16;

export class EventHasher {
  readonly #key: Uint8Array;

  /** `key` is the installation's key for erased events. */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** Of an event with an id and a time of the client's, from which its stored id is made. */
  dated(organizationId: OrganizationId, id: TrackedEventId): Buffer {
    return this.#hash(["dated", organizationId, id]);
  }

  /** Of an event with an id of the client's alone. */
  undated(organizationId: OrganizationId, clientEventId: string): Buffer {
    return this.#hash(["undated", organizationId, clientEventId]);
  }

  #hash(parts: readonly string[]): Buffer {
    const digest = createHmac("sha256", this.#key).update(JSON.stringify(parts)).digest();
    return digest.subarray(0, HASH_BYTES);
  }
}
