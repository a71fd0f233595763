// Verifies API keys with a bounded cache in front of identity. A revocation takes effect when its announcement
// arrives. Beats of identity show whether one was missed; see docs/decisions/0027-revocation.md.
import type { ApiKeyId, Clock, OrganizationId } from "@muster/core";
import { withTimeout } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import { LRUCache } from "lru-cache";
import { hashApiKey, isApiKey } from "./api-key.ts";
import { permissionsOf } from "./permissions.ts";
import type { ApiKeyPrincipal, ApiKeyVerifier, VerifyOptions } from "./principal.ts";
import { type BroadcastSource, RevocationMonitor } from "./revocation-monitor.ts";

/** How long known keys are accepted while identity is unreachable, unless the installation sets another time. */
const GRACE_MS_DEFAULT = 120_000;

const ENTRIES_MAX = 10_000;
/** Age at which a verification is renewed while beats arrive. */
const FRESH_MS = 60_000;
/** The same while beats are missing. */
const FRESH_MS_WITHOUT_BEATS = 5_000;
const NEGATIVE_TTL_MS = 1_000;
/** A known key waits this long for identity before the cached verification serves. */
const PATIENCE_MS = 1_000;
/** After identity failed to respond, known keys do not wait for it during this time. */
const PAUSE_MS = 1_000;
/** Look-ups of one key that a revocation of the key may overtake. */
const LOOKUPS_MAX = 3;

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

export interface CachingApiKeyVerifierOptions {
  readonly lookup: ApiKeyLookup;
  readonly clock: Clock;
  readonly broadcasts: BroadcastSource;
  readonly log: Logger;
  /** How long known keys are accepted while identity is unreachable. */
  readonly graceMs?: number;
}

interface Entry {
  readonly id: ApiKeyId;
  readonly principal: ApiKeyPrincipal;
  /** Monotonic ms at which the look-up began. */
  readonly verifiedMs: number;
}

export class CachingApiKeyVerifier implements ApiKeyVerifier {
  readonly #lookup: ApiKeyLookup;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #graceMs: number;
  readonly #valid = new LRUCache<string, Entry>({ max: ENTRIES_MAX });
  // Separate caches, so that a flood of made-up keys evicts no valid key.
  readonly #unknown: LRUCache<string, true>;
  /** Keys whose deletion was announced: they stay refused even if identity is unreachable. */
  readonly #ended = new LRUCache<string, true>({ max: ENTRIES_MAX });
  readonly #inFlight = new Map<string, Promise<Entry | undefined>>();
  readonly #listeners = new Set<(id: string | undefined) => void>();
  readonly #revocations: RevocationMonitor;
  /** Monotonic ms until which known keys do not wait for identity. */
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #isUnreachable = false;

  constructor(options: CachingApiKeyVerifierOptions) {
    const { clock } = options;
    this.#lookup = options.lookup;
    this.#clock = clock;
    this.#log = options.log;
    this.#graceMs = options.graceMs ?? GRACE_MS_DEFAULT;
    const perf = { now: () => clock.monotonicMs() };
    this.#unknown = new LRUCache({ max: ENTRIES_MAX, ttl: NEGATIVE_TTL_MS, ttlResolution: 0, perf });
    this.#revocations = new RevocationMonitor({ ...options, onChange: (id) => this.#keyChanged(id) });
  }

  async verify(key: string, { sensitive = false }: VerifyOptions = {}): Promise<ApiKeyPrincipal | undefined> {
    if (!isApiKey(key)) return undefined;
    const hash = hashApiKey(key);
    const name = hash.toString("base64");
    const entry = this.#valid.get(name);
    if (entry !== undefined) {
      const isUsable = this.#isFresh(entry) || !this.#isCurrent(entry);
      return this.#principalOf(isUsable ? entry : await this.#renew(name, hash, sensitive));
    }
    if (this.#unknown.has(name) || this.#ended.has(name)) return undefined;
    return this.#principalOf(await this.#find(name, hash));
  }

  onChange(listener: (id: string | undefined) => void): () => void {
    // Wrapped, so that a function registered twice has two subscriptions.
    const own = (id: string | undefined): void => listener(id);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Unsubscribes from revocations. */
  close(): void {
    this.#revocations.close();
  }

  #principalOf(entry: Entry | undefined): ApiKeyPrincipal | undefined {
    return entry !== undefined && this.#isCurrent(entry) ? entry.principal : undefined;
  }

  #isCurrent({ principal: { expireTimeMs } }: Entry): boolean {
    return expireTimeMs === undefined || this.#clock.nowMs() < expireTimeMs;
  }

  /** Whether the verification needs no look-up. */
  #isFresh({ verifiedMs }: Entry): boolean {
    const { isLive, completeSinceMs } = this.#revocations;
    const ageMs = this.#clock.monotonicMs() - verifiedMs;
    return verifiedMs >= completeSinceMs && ageMs <= (isLive ? FRESH_MS : FRESH_MS_WITHOUT_BEATS);
  }

  /**
   * Whether the verification may serve while identity is unreachable: every revocation until the last beat was received,
   * and that beat or the look-up itself is no older than the grace.
   */
  #isWithinGrace({ verifiedMs }: Entry): boolean {
    const { lastBeatMs, completeSinceMs } = this.#revocations;
    const rightUntilMs = Math.max(verifiedMs, lastBeatMs);
    return verifiedMs >= completeSinceMs && this.#clock.monotonicMs() - rightUntilMs <= this.#graceMs;
  }

  /** Looks a known key up again. If identity does not respond, the cached verification serves within the grace. */
  async #renew(name: string, hash: Uint8Array, sensitive: boolean): Promise<Entry | undefined> {
    const inGrace = (): Entry | undefined => {
      // Read again, because a revocation removes the entry.
      const entry = sensitive ? undefined : this.#valid.get(name);
      return entry !== undefined && this.#isWithinGrace(entry) ? entry : undefined;
    };
    const cached = inGrace();
    if (cached === undefined) return this.#find(name, hash);
    if (this.#clock.monotonicMs() < this.#pausedUntilMs) return cached;
    const found = this.#find(name, hash).then(
      (entry) => ({ entry }),
      (error: unknown) => ({ error }),
    );
    const outcome = await withTimeout(this.#clock, PATIENCE_MS, found, unreachable);
    if ("entry" in outcome) return outcome.entry;
    if (!(outcome.error instanceof AppError)) throw outcome.error;
    this.#pausedUntilMs = this.#clock.monotonicMs() + PAUSE_MS;
    const served = inGrace();
    if (served === undefined) throw outcome.error;
    return served;
  }

  #find(name: string, hash: Uint8Array): Promise<Entry | undefined> {
    const running = this.#inFlight.get(name);
    if (running !== undefined) return running;
    const call = this.#lookUp(name, hash).finally(() => this.#inFlight.delete(name));
    this.#inFlight.set(name, call);
    return call;
  }

  async #lookUp(name: string, hash: Uint8Array): Promise<Entry | undefined> {
    for (let lookups = 0; lookups < LOOKUPS_MAX; lookups += 1) {
      const beganMs = this.#clock.monotonicMs();
      const { receivedCount } = this.#revocations;
      const record = await this.#reachIdentity(hash);
      this.#revocations.identityResponded(beganMs);
      const revocation = record && this.#revocations.receivedFor(record.id);
      if (record === undefined || revocation?.hasEnded === true) {
        this.#valid.delete(name);
        (record === undefined ? this.#unknown : this.#ended).set(name, true);
        return undefined;
      }
      // The record may predate the revocation.
      if (revocation !== undefined && revocation.order > receivedCount) continue;
      const entry = entryOf(record, beganMs);
      this.#valid.set(name, entry);
      return entry;
    }
    throw new AppError("UNAVAILABLE", { retryAfterMs: PAUSE_MS });
  }

  /** Logs the beginning and the end of an outage. */
  async #reachIdentity(hash: Uint8Array): Promise<ApiKeyRecord | undefined> {
    try {
      const record = await this.#lookup(hash);
      if (this.#isUnreachable) this.#log.info({}, "identity responds again");
      this.#isUnreachable = false;
      return record;
    } catch (error) {
      if (!this.#isUnreachable) {
        this.#log.warn(
          { err: error, graceMs: this.#graceMs },
          "identity does not respond; known keys are kept",
        );
      }
      this.#isUnreachable = true;
      throw error;
    }
  }

  #keyChanged(id: ApiKeyId | undefined): void {
    const hasEnded = id !== undefined && this.#revocations.receivedFor(id)?.hasEnded === true;
    for (const [name, entry] of this.#valid.entries()) {
      if (entry.id !== id) continue;
      this.#valid.delete(name);
      if (hasEnded) this.#ended.set(name, true);
    }
    for (const listener of [...this.#listeners]) listener(id);
  }
}

function entryOf({ id, organizationId, scopes, expireTimeMs }: ApiKeyRecord, verifiedMs: number): Entry {
  const permissions = permissionsOf(scopes);
  return { id, verifiedMs, principal: { kind: "api_key", id, organizationId, permissions, expireTimeMs } };
}

function unreachable(): { error: AppError } {
  return { error: new AppError("UNAVAILABLE", { retryAfterMs: PAUSE_MS }) };
}
