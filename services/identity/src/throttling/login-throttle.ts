// LoginThrottle counts failed logins in identity's database and refuses attempts after too many of them.
import { createHmac } from "node:crypto";
import type { Clock, UserId } from "@muster/core";
import type { Database, Queryable, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { lockCounters, readCounters, type StoredCounter, writeCounters } from "./login-counter-store.ts";
import {
  afterFailure,
  type Counters,
  type EMPTY_COUNTER,
  hasJustLocked,
  remainingLockMs,
  type ThrottleRules,
} from "./throttle-rules.ts";

/** An attempt to enter the password of an account. */
export interface LoginAttempt {
  /** The canonical form of the address typed, whether or not it has an account. */
  readonly emailKey: string;
  /** The client's IPv4 address or IPv6 network; see clientKeyOf. */
  readonly client: string;
  /** The known device of the account from which the attempt comes. */
  readonly deviceId: string | undefined;
  /** The account of the address. */
  readonly userId: UserId | undefined;
}

/** At most one unlock mail for an account in this time. */
export const UNLOCK_MAIL_INTERVAL_MS = 3_600_000;

interface StoredCounters extends Counters {
  readonly pair: StoredCounter;
  readonly address: StoredCounter;
  readonly client: StoredCounter;
}

export class LoginThrottle {
  readonly #clock: Clock;
  readonly #database: Pick<Database, "transaction">;
  readonly #key: Uint8Array;
  readonly #rules: ThrottleRules;
  readonly #mailsDue: () => void;

  /** `key` is the installation's key for these counters. `mailsDue` is called when an unlock mail has become due. */
  constructor(options: {
    readonly clock: Clock;
    readonly database: Pick<Database, "transaction">;
    readonly key: Uint8Array;
    readonly rules: ThrottleRules;
    readonly mailsDue: () => void;
  }) {
    this.#clock = options.clock;
    this.#database = options.database;
    this.#key = options.key;
    this.#rules = options.rules;
    this.#mailsDue = options.mailsDue;
  }

  /** How long the attempt stays locked; 0 when it is not. */
  async lockedMs(queryable: Queryable, attempt: LoginAttempt): Promise<number> {
    const [pair, address, client] = await readCounters(queryable, this.#keysOf(attempt));
    return this.#remainingMs(attempt, { pair, address, client } as StoredCounters, this.#clock.nowMs());
  }

  /**
   * Counts a failure, unless the attempt is locked by now. Returns how long the attempt was locked already: the
   * outcome of a locked attempt must not be shown. With `isCounted: false` the same statements run without effect.
   */
  async recordFailure(attempt: LoginAttempt, { isCounted = true } = {}): Promise<number> {
    const [lockedMs, isMailDue] = await this.#database.transaction((trx) =>
      isCounted ? this.#count(trx, attempt) : this.#countNothing(trx, attempt),
    );
    if (isMailDue) this.#mailsDue();
    return lockedMs;
  }

  /**
   * Accepts the right password. Throws LOGIN_LOCKED when failures of other attempts have locked this one meanwhile, so
   * that many attempts at once test no more passwords than one after the other. The failures of the pair end.
   */
  async accept(trx: Transaction, attempt: LoginAttempt): Promise<void> {
    const keys = this.#keysOf(attempt);
    const [pair, address, client] = await readCounters(trx, keys);
    const lockedMs = this.#remainingMs(
      attempt,
      { pair, address, client } as StoredCounters,
      this.#clock.nowMs(),
    );
    if (lockedMs > 0) throw loginLocked(lockedMs);
    const [key] = keys;
    if (key === undefined || pair === undefined || pair.failures === 0) return;
    await writeCounters(trx, [{ key, counter: { ...pair, failures: 0, endTimeMs: 0 } }]);
  }

  /** Ends every lock of the address but those of clients with many failures. */
  async unlock(trx: Transaction, emailKey: string): Promise<void> {
    const key = this.#keyOf("address", emailKey);
    const [address] = await lockCounters(trx, [key]);
    if (address === undefined) return;
    // A pair is unlocked by the number, because a pair of any client may exist.
    const counter = { ...address, failures: 0, endTimeMs: 0, unlocks: address.unlocks + 1 };
    // The row stays as long as the pairs that it unlocks.
    const expireTimeMs = Math.max(address.expireTimeMs, this.#clock.nowMs() + this.#rules.pairLockMs);
    await writeCounters(trx, [{ key, counter: { ...counter, expireTimeMs } }]);
  }

  async #count(trx: Transaction, attempt: LoginAttempt): Promise<readonly [number, boolean]> {
    const keys = this.#keysOf(attempt);
    const nowMs = this.#clock.nowMs();
    const stored = await this.#lock(trx, keys);
    const lockedMs = this.#remainingMs(attempt, stored, nowMs);
    const next = lockedMs > 0 ? stored : afterFailure(stored, this.#rules, nowMs);
    const isMailDue = lockedMs === 0 && hasJustLocked(next, this.#rules) && mayMail(stored.address, nowMs);
    await this.#write(trx, keys, {
      pair: kept(stored.pair, next.pair),
      address: {
        ...kept(stored.address, next.address, next.pair.endTimeMs),
        ...(isMailDue ? { mailDueTimeMs: nowMs, mailUserId: attempt.userId } : {}),
      },
      client: kept(stored.client, next.client),
    });
    return [lockedMs, isMailDue];
  }

  /** Writes the client's own counter as it is, in as many statements and rows as a failure takes. */
  async #countNothing(trx: Transaction, attempt: LoginAttempt): Promise<readonly [number, boolean]> {
    const key = this.#keyOf("client", attempt.client);
    const keys = [key, key, key];
    const stored = await this.#lock(trx, keys);
    const expireTimeMs = Math.max(stored.client.expireTimeMs, this.#clock.nowMs());
    const counter = { ...stored.client, expireTimeMs };
    await this.#write(trx, keys, { pair: counter, address: counter, client: counter });
    return [0, false];
  }

  async #lock(trx: Transaction, keys: readonly Buffer[]): Promise<StoredCounters> {
    const [pair, address, client] = await lockCounters(trx, keys);
    return { pair, address, client } as StoredCounters;
  }

  async #write(trx: Transaction, keys: readonly Buffer[], counters: StoredCounters): Promise<void> {
    const { pair, address, client } = counters;
    const rows = [pair, address, client].map((counter, index) => ({ key: keys[index] as Buffer, counter }));
    await writeCounters(trx, rows);
  }

  #remainingMs(attempt: LoginAttempt, counters: StoredCounters, nowMs: number): number {
    const isKnownDevice = attempt.deviceId !== undefined;
    return remainingLockMs(counters, { isKnownDevice, nowMs }, this.#rules);
  }

  /** The keys of the pair, the address and the client. */
  #keysOf({ emailKey, client, deviceId }: LoginAttempt): Buffer[] {
    const pair =
      deviceId === undefined
        ? this.#keyOf("pair", emailKey, client)
        : this.#keyOf("device", emailKey, deviceId);
    return [pair, this.#keyOf("address", emailKey), this.#keyOf("client", client)];
  }

  #keyOf(...parts: readonly string[]): Buffer {
    return createHmac("sha256", this.#key).update(JSON.stringify(parts)).digest();
  }
}

export function loginLocked(lockedMs: number): AppError {
  return new AppError("LOGIN_LOCKED", { retryAfterMs: lockedMs });
}

/** The row after a change: it stays as long as it counts, and as long as the pairs that name its unlocks. */
function kept(stored: StoredCounter, next: typeof EMPTY_COUNTER, alsoUntilMs = 0): StoredCounter {
  const expireTimeMs = Math.max(stored.expireTimeMs, next.endTimeMs, alsoUntilMs);
  const { failures, endTimeMs, unlocks } = next;
  return { ...stored, failures, endTimeMs, unlocks, expireTimeMs };
}

function mayMail({ mailDueTimeMs, mailTimeMs }: StoredCounter, nowMs: number): boolean {
  if (mailDueTimeMs !== undefined) return false;
  return mailTimeMs === undefined || mailTimeMs + UNLOCK_MAIL_INTERVAL_MS <= nowMs;
}
