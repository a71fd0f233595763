// Verifies API keys and access tokens with a bounded cache in front of identity. A revocation takes effect when
// its announcement arrives. Beats of identity show whether one was missed; see docs/decisions/0027-revocation.md.
import { hash } from "node:crypto";
import { type Clock, withTimeout } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import { LRUCache } from "lru-cache";
import type { CredentialLookup, Finding, Refusal, ValidCredential } from "./credential-lookup.ts";
import type { CredentialPrincipal, CredentialVerifier, VerifyOptions } from "./principal.ts";
import { type BroadcastSource, RevocationMonitor } from "./revocation-monitor.ts";

/** How long known credentials are accepted while identity is unreachable, unless the installation sets another time. */
const GRACE_MS_DEFAULT = 120_000;

const ENTRIES_MAX = 10_000;
/** Age at which a verification is renewed while beats arrive. */
const FRESH_MS = 60_000;
/** The same while beats are missing. */
const FRESH_MS_WITHOUT_BEATS = 5_000;
const NEGATIVE_TTL_MS = 1_000;
/** A known credential waits this long for identity before the cached verification serves. */
const PATIENCE_MS = 1_000;
/** After identity failed to respond, known credentials do not wait for it during this time. */
const PAUSE_MS = 1_000;
/** Look-ups of one credential that its revocation may overtake. */
const LOOKUPS_MAX = 3;

export interface CachingCredentialVerifierOptions {
  /** One for each kind of credential. */
  readonly lookups: readonly CredentialLookup[];
  readonly clock: Clock;
  readonly broadcasts: BroadcastSource;
  readonly log: Logger;
  /** How long known credentials are accepted while identity is unreachable. */
  readonly graceMs?: number;
}

type Find = () => Promise<Finding>;

interface Entry extends ValidCredential {
  /** Monotonic ms at which the look-up began. */
  readonly verifiedMs: number;
}

export class CachingCredentialVerifier implements CredentialVerifier {
  readonly #lookups: readonly CredentialLookup[];
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #graceMs: number;
  readonly #valid = new LRUCache<string, Entry>({ max: ENTRIES_MAX });
  // Separate caches, so that a flood of made-up credentials evicts no valid one.
  readonly #unknown: LRUCache<string, Refusal>;
  /** Credentials whose end was announced: they stay refused even if identity is unreachable. */
  readonly #ended = new LRUCache<string, Refusal>({ max: ENTRIES_MAX });
  readonly #inFlight = new Map<string, Promise<Entry | Refusal>>();
  readonly #listeners = new Set<(id: string | undefined) => void>();
  readonly #revocations: RevocationMonitor;
  /** Monotonic ms until which known credentials do not wait for identity. */
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  #isUnreachable = false;

  constructor(options: CachingCredentialVerifierOptions) {
    const { clock } = options;
    this.#lookups = options.lookups;
    this.#clock = clock;
    this.#log = options.log;
    this.#graceMs = options.graceMs ?? GRACE_MS_DEFAULT;
    const perf = { now: () => clock.monotonicMs() };
    this.#unknown = new LRUCache({ max: ENTRIES_MAX, ttl: NEGATIVE_TTL_MS, ttlResolution: 0, perf });
    this.#revocations = new RevocationMonitor({ ...options, onChange: (id) => this.#changed(id) });
  }

  async verify(text: string, options: VerifyOptions = {}): Promise<CredentialPrincipal | undefined> {
    const catchingUp = this.#revocations.catchUp();
    if (catchingUp !== undefined) await catchingUp;
    const result = await this.#decide(text, options);
    const refusal = typeof result === "string" ? result : this.#expiryOf(result, options);
    if (refusal === "SESSION_ENDED") throw new AppError("SESSION_ENDED");
    return typeof result === "string" || refusal !== undefined ? undefined : result.principal;
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

  #decide(text: string, options: VerifyOptions): Entry | Refusal | Promise<Entry | Refusal> {
    const { sensitive = false, renew = false, isStreaming = false } = options;
    // A digest of a request's text in one call costs a third of an incremental one.
    const name = hash("sha256", text, "base64");
    const entry = this.#valid.get(name);
    if (entry !== undefined && !renew) {
      const isDecided = this.#isFresh(entry) || this.#expiryOf(entry, options) !== undefined;
      if (isDecided) return entry;
    }
    const known = entry === undefined ? (this.#unknown.get(name) ?? this.#ended.get(name)) : undefined;
    if (known !== undefined) return known;
    const lookup = this.#lookups.find((one) => one.hasForm(text));
    if (lookup === undefined || (!isStreaming && lookup.hasExpired(text))) return "UNAUTHENTICATED";
    const find = () => lookup.find(text, Buffer.from(name, "base64"));
    // Joins no look-up that runs already, because it may have read an older state.
    if (renew) return this.#lookUp(name, find);
    return entry === undefined ? this.#find(name, find) : this.#renew(name, find, sensitive);
  }

  /** The refusal of a valid credential because of the time. */
  #expiryOf({ principal, end }: Entry, { isStreaming = false }: VerifyOptions): Refusal | undefined {
    const nowMs = this.#clock.nowMs();
    if (end.timeMs !== undefined && nowMs >= end.timeMs) return end.refusal;
    const { expireTimeMs } = principal;
    return !isStreaming && expireTimeMs !== undefined && nowMs >= expireTimeMs
      ? "UNAUTHENTICATED"
      : undefined;
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

  /** Looks a known credential up again. If identity does not respond, the cached verification serves within the grace. */
  async #renew(name: string, find: Find, sensitive: boolean): Promise<Entry | Refusal> {
    const inGrace = (): Entry | undefined => {
      // Read again, because a revocation removes the entry.
      const entry = sensitive ? undefined : this.#valid.get(name);
      return entry !== undefined && this.#isWithinGrace(entry) ? entry : undefined;
    };
    const cached = inGrace();
    if (cached === undefined) return this.#find(name, find);
    if (this.#clock.monotonicMs() < this.#pausedUntilMs) return cached;
    const found = this.#find(name, find).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    );
    const outcome = await withTimeout(this.#clock, PATIENCE_MS, found, unreachable);
    if ("result" in outcome) return outcome.result;
    if (!(outcome.error instanceof AppError)) throw outcome.error;
    this.#pausedUntilMs = this.#clock.monotonicMs() + PAUSE_MS;
    const served = inGrace();
    if (served === undefined) throw outcome.error;
    return served;
  }

  #find(name: string, find: Find): Promise<Entry | Refusal> {
    const running = this.#inFlight.get(name);
    if (running !== undefined) return running;
    const call = this.#lookUp(name, find).finally(() => this.#inFlight.delete(name));
    this.#inFlight.set(name, call);
    return call;
  }

  async #lookUp(name: string, find: Find): Promise<Entry | Refusal> {
    for (let lookups = 0; lookups < LOOKUPS_MAX; lookups += 1) {
      const beganMs = this.#clock.monotonicMs();
      const { receivedCount } = this.#revocations;
      const finding = await this.#reachIdentity(find);
      this.#revocations.identityResponded(beganMs);
      if ("refusal" in finding) return this.#refuse(this.#unknown, name, finding.refusal);
      const ended = this.#endOf(finding);
      if (ended !== undefined) return this.#refuse(this.#ended, name, ended);
      // The finding may predate a revocation.
      if (this.#lastChangeOf(finding) > receivedCount) continue;
      const entry = { ...finding, verifiedMs: beganMs };
      this.#valid.set(name, entry);
      return entry;
    }
    throw new AppError("UNAVAILABLE", { retryAfterMs: PAUSE_MS });
  }

  #refuse(cache: LRUCache<string, Refusal>, name: string, refusal: Refusal): Refusal {
    this.#valid.delete(name);
    cache.set(name, refusal);
    return refusal;
  }

  /** The refusal by the announced end of an id of the credential. */
  #endOf({ endedBy }: ValidCredential): Refusal | undefined {
    for (const [id, refusal] of endedBy) {
      if (this.#revocations.receivedFor(id)?.hasEnded === true) return refusal;
    }
    return undefined;
  }

  /** The order of the last announcement of an id of the credential; 0 without any. */
  #lastChangeOf({ endedBy }: ValidCredential): number {
    return Math.max(0, ...[...endedBy.keys()].map((id) => this.#revocations.receivedFor(id)?.order ?? 0));
  }

  /** Logs the beginning and the end of an outage. */
  async #reachIdentity(find: Find): Promise<Finding> {
    try {
      const finding = await find();
      if (this.#isUnreachable) this.#log.info({}, "identity responds again");
      this.#isUnreachable = false;
      return finding;
    } catch (error) {
      if (!this.#isUnreachable) {
        this.#log.warn(
          { err: error, graceMs: this.#graceMs },
          "identity does not respond; known credentials are kept",
        );
      }
      this.#isUnreachable = true;
      throw error;
    }
  }

  #changed(id: string | undefined): void {
    if (id !== undefined) this.#drop(id);
    for (const listener of [...this.#listeners]) listener(id);
  }

  #drop(id: string): void {
    const hasEnded = this.#revocations.receivedFor(id)?.hasEnded === true;
    for (const [name, { endedBy }] of this.#valid.entries()) {
      const refusal = endedBy.get(id);
      if (refusal === undefined) continue;
      this.#valid.delete(name);
      if (hasEnded) this.#ended.set(name, refusal);
    }
  }
}

function unreachable(): { error: AppError } {
  return { error: new AppError("UNAVAILABLE", { retryAfterMs: PAUSE_MS }) };
}
