// Verifies API keys with a bounded cache in front of identity. A revocation takes effect at once; if its
// broadcast is lost, the age of the cache entry bounds the remaining life of the key.
import type { ApiKeyId, Clock, OrganizationId } from "@muster/core";
import { bytesToUuid } from "@muster/core";
import { LRUCache } from "lru-cache";
import { hashApiKey, isApiKey } from "./api-key.ts";
import { permissionsOf } from "./permissions.ts";
import type { ApiKeyPrincipal, ApiKeyVerifier } from "./principal.ts";

/** Broadcast with the 16-byte id of a revoked key; receivers drop cached entries of the key. */
export const CREDENTIALS_REVOKED_TOPIC = "credentials.revoked";

const ENTRIES_MAX = 10_000;
const POSITIVE_TTL_MS = 60_000;
const NEGATIVE_TTL_MS = 1_000;

/** A valid key as stored by identity. */
export interface ApiKeyRecord {
  readonly id: ApiKeyId;
  readonly organizationId: OrganizationId;
  readonly scopes: readonly string[];
  /** Epoch ms; undefined means never. */
  readonly expireTimeMs: number | undefined;
}

/**
 * Finds a key by its hash. Undefined only when identity has no such valid key; rejects when identity is
 * unreachable.
 */
export type ApiKeyLookup = (keyHash: Uint8Array) => Promise<ApiKeyRecord | undefined>;

/** The part of the bus that delivers revocations. */
export interface BroadcastSource {
  onBroadcast(topic: string, handler: (payload: Uint8Array) => void): () => void;
}

interface Entry {
  readonly principal: ApiKeyPrincipal;
  readonly expireTimeMs: number | undefined;
}

export class CachingApiKeyVerifier implements ApiKeyVerifier {
  readonly #lookup: ApiKeyLookup;
  readonly #clock: Clock;
  readonly #valid: LRUCache<string, Entry>;
  // A separate cache, so that a flood of made-up keys evicts no valid key.
  readonly #unknown: LRUCache<string, true>;
  readonly #inFlight = new Map<string, Promise<Entry | undefined>>();
  readonly #unsubscribe: () => void;

  constructor(options: {
    readonly lookup: ApiKeyLookup;
    readonly clock: Clock;
    readonly broadcasts: BroadcastSource;
  }) {
    const { clock } = options;
    this.#lookup = options.lookup;
    this.#clock = clock;
    const settings = { max: ENTRIES_MAX, perf: { now: () => clock.monotonicMs() }, ttlResolution: 0 };
    this.#valid = new LRUCache({ ...settings, ttl: POSITIVE_TTL_MS });
    this.#unknown = new LRUCache({ ...settings, ttl: NEGATIVE_TTL_MS });
    this.#unsubscribe = options.broadcasts.onBroadcast(CREDENTIALS_REVOKED_TOPIC, (payload) =>
      this.#forget(payload),
    );
  }

  async verify(key: string): Promise<ApiKeyPrincipal | undefined> {
    if (!isApiKey(key)) return undefined;
    const hash = hashApiKey(key);
    const name = hash.toString("base64");
    const entry = this.#valid.get(name);
    if (entry !== undefined) return this.#current(entry);
    if (this.#unknown.has(name)) return undefined;
    return this.#current(await this.#find(name, hash));
  }

  /** Unsubscribes from revocations. */
  close(): void {
    this.#unsubscribe();
  }

  #current(entry: Entry | undefined): ApiKeyPrincipal | undefined {
    if (entry === undefined) return undefined;
    if (entry.expireTimeMs !== undefined && entry.expireTimeMs <= this.#clock.nowMs()) return undefined;
    return entry.principal;
  }

  #find(name: string, hash: Uint8Array): Promise<Entry | undefined> {
    const running = this.#inFlight.get(name);
    if (running !== undefined) return running;
    const call: Promise<Entry | undefined> = this.#fetchEntry(hash).then(
      (entry) => {
        // A revocation detached this look-up. The result may predate the revocation, so it serves only the
        // callers that were waiting already.
        if (this.#inFlight.get(name) !== call) return entry;
        this.#inFlight.delete(name);
        if (entry === undefined) this.#unknown.set(name, true);
        else this.#valid.set(name, entry);
        return entry;
      },
      (error: unknown) => {
        if (this.#inFlight.get(name) === call) this.#inFlight.delete(name);
        throw error;
      },
    );
    this.#inFlight.set(name, call);
    return call;
  }

  async #fetchEntry(hash: Uint8Array): Promise<Entry | undefined> {
    const record = await this.#lookup(hash);
    if (record === undefined) return undefined;
    return {
      principal: {
        kind: "api_key",
        id: record.id,
        organizationId: record.organizationId,
        permissions: permissionsOf(record.scopes),
      },
      expireTimeMs: record.expireTimeMs,
    };
  }

  #forget(payload: Uint8Array): void {
    if (payload.length !== 16) return;
    const id = bytesToUuid(payload);
    for (const [name, entry] of this.#valid.entries()) {
      if (entry.principal.id === id) this.#valid.delete(name);
    }
    // The key of a look-up in flight is unknown until it returns, so no look-up in flight may be cached or
    // joined.
    this.#inFlight.clear();
  }
}
