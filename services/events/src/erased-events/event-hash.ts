// Hashes the ids of erased events with a key, so that re-sent events are detected. Without the key of the
// installation the hashes do not reveal which events existed.
import { createHmac } from "node:crypto";
import type { OrganizationId, TrackedEventId } from "@muster/core";

const HASH_BYTES = 16;

/** Hashes ids with HMAC-SHA-256, truncated to 16 bytes. */
export class EventHasher {
  readonly #key: Uint8Array;

  /** `key` is the key of the installation for erased events. */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** Hashes an event with a client id and a client time, which together determine the stored id. */
  dated(organizationId: OrganizationId, id: TrackedEventId): Buffer {
    return this.#hash(["dated", organizationId, id]);
  }

  /** Hashes an event with a client id only. */
  undated(organizationId: OrganizationId, clientEventId: string): Buffer {
    return this.#hash(["undated", organizationId, clientEventId]);
  }

  #hash(parts: readonly string[]): Buffer {
    const digest = createHmac("sha256", this.#key).update(JSON.stringify(parts)).digest();
    return digest.subarray(0, HASH_BYTES);
  }
}
