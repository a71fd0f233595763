// The idempotency ledger keeps responses in the service's own database. One request at a time runs under a
// key. The response is saved in the transaction of the effect, so that response and effect exist together.
import { assert, type Clock, IDEMPOTENCY_KEY_BYTES_MAX, type IdSource } from "@muster/core";
import { type Database, isUniqueViolation, type Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { IdempotencyStore, type KeyRecord, type NewClaim } from "./idempotency-store.ts";
import { SCOPE_BYTES_MAX } from "./idempotency-table.ts";
import {
  type BeginResult,
  type Claim,
  type IdempotencyLedgerPort,
  type NewResponse,
  StaleClaim,
} from "./ledger.ts";
import { ResponseSeal } from "./response-seal.ts";
import { addSubjects } from "./subject-store.ts";

/** A request without a response or a release within this time counts as dead. */
export const LEASE_MS = 30_000;
/** Time for which a key stands for the first request with the key, unless the caller of the ledger shortens it. */
export const KEY_LIFETIME_MS = 24 * 3_600_000;
const RETRY_AFTER_MS = 1_000;
/** Each further attempt means that another request changed the key at the same time. */
const BEGIN_ATTEMPTS_MAX = 8;

export class IdempotencyLedger implements IdempotencyLedgerPort {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #ids: IdSource;
  readonly #seal: ResponseSeal;
  readonly #store = new IdempotencyStore();

  /** `key` is the installation's key for idempotency, of at least 32 bytes. */
  constructor(options: {
    readonly database: Database;
    readonly clock: Clock;
    readonly ids: IdSource;
    readonly key: Uint8Array;
  }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#ids = options.ids;
    this.#seal = new ResponseSeal(options.key);
  }

  digest(text: string): string {
    return this.#seal.nameOf("", text);
  }

  async begin(
    scope: string,
    key: string,
    canonicalBody: Uint8Array,
    lifetimeMs = KEY_LIFETIME_MS,
  ): Promise<BeginResult> {
    assert(
      Buffer.byteLength(scope) <= SCOPE_BYTES_MAX,
      "the idempotency scope must not be longer than its column",
    );
    assert(
      Buffer.byteLength(key) <= IDEMPOTENCY_KEY_BYTES_MAX,
      "the idempotency key must not be longer than its limit",
    );
    const fingerprint = this.#seal.fingerprint(canonicalBody);
    const name = this.#seal.nameOf(scope, key);
    for (let attempt = 0; attempt < BEGIN_ATTEMPTS_MAX; attempt += 1) {
      const claim = this.#newClaim({ scope, key: name }, fingerprint, lifetimeMs);
      if (await this.#insert(claim)) return run(claim);
      const found = await this.#store.find(this.#database.reader, scope, name);
      // Released between the two statements.
      if (found === undefined) continue;
      if (!isFree(found, this.#clock.nowMs())) return this.#responseFrom(found, claim);
      const taken = await this.#database.transaction((trx) => this.#store.replace(trx, found, claim));
      if (taken) return run(claim);
    }
    throw inProgress();
  }

  async saveResponse(trx: Transaction, claim: Claim, response: NewResponse): Promise<void> {
    const kept = await this.#store.keep(trx, claim, this.#seal.seal(claim, response));
    if (!kept) throw new StaleClaim();
    const expireTimeMs = this.#clock.nowMs() + KEY_LIFETIME_MS;
    await addSubjects(trx, claim, response.subjects ?? [], expireTimeMs);
  }

  async keep(claim: Claim, response: NewResponse): Promise<void> {
    await this.#database.transaction((trx) => this.saveResponse(trx, claim, response));
  }

  async release(claim: Claim): Promise<void> {
    await this.#database.transaction((trx) => this.#store.remove(trx, claim));
  }

  #newClaim(name: Pick<Claim, "scope" | "key">, fingerprint: Buffer, lifetimeMs: number): NewClaim {
    const nowMs = this.#clock.nowMs();
    return {
      ...name,
      token: this.#ids.next(nowMs),
      fingerprint,
      leaseUntilMs: nowMs + LEASE_MS,
      expireTimeMs: nowMs + lifetimeMs,
    };
  }

  async #insert(claim: NewClaim): Promise<boolean> {
    try {
      await this.#database.transaction((trx) => this.#store.insert(trx, claim));
      return true;
    } catch (error) {
      if (isUniqueViolation(error)) return false;
      throw error;
    }
  }

  #responseFrom(found: KeyRecord, { scope, key, fingerprint }: NewClaim): BeginResult {
    if (!found.fingerprint.equals(fingerprint)) throw new AppError("IDEMPOTENCY_KEY_REUSED");
    if (found.response === undefined) throw inProgress();
    const claim = { scope, key, token: found.token };
    return { kind: "replay", response: this.#seal.open(claim, found.response) };
  }
}

function run({ scope, key, token }: NewClaim): BeginResult {
  return { kind: "run", claim: { scope, key, token } };
}

/** Whether the record is free: the lifetime is over, or the request died without a response. */
function isFree(record: KeyRecord, nowMs: number): boolean {
  if (record.expireTimeMs <= nowMs) return true;
  return record.response === undefined && record.leaseUntilMs <= nowMs;
}

function inProgress(): AppError {
  return new AppError("IDEMPOTENCY_IN_PROGRESS", { retryAfterMs: RETRY_AFTER_MS });
}
