// Deletes expired idempotency keys, in chunks small enough not to block other work.
import type { Clock } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import { IdempotencyStore } from "./idempotency-store.ts";
import { removeExpiredSubjects } from "./subject-store.ts";

const INTERVAL_MS = 10 * 60_000;
const CHUNK_ROWS = 500;

/** A worker of the service that owns the database. Several instances at once are harmless. */
export class IdempotencyWorker {
  readonly name = "idempotency-worker";
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #failures: FailureLog;
  readonly #store = new IdempotencyStore();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: { readonly database: Database; readonly clock: Clock; readonly log: Logger }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#failures = new FailureLog(options.log, {
      failed: "expired idempotency keys were not deleted; retrying later",
      recovered: "expired idempotency keys are deleted again",
    });
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Deletes all rows that have expired by now, or until it is stopped. Resolves to the number of keys. */
  async sweep(): Promise<number> {
    const nowMs = this.#clock.nowMs();
    const keys = await this.#inChunks((trx) => this.#store.removeExpired(trx, nowMs, CHUNK_ROWS));
    await this.#inChunks((trx) => removeExpiredSubjects(trx, nowMs, CHUNK_ROWS));
    return keys;
  }

  async #inChunks(remove: (trx: Transaction) => Promise<number>): Promise<number> {
    let total = 0;
    while (!this.#stopping.signal.aborted) {
      const found = await this.#database.transaction(remove);
      total += found;
      if (found < CHUNK_ROWS) break;
    }
    return total;
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#clock.sleep(INTERVAL_MS, this.#stopping.signal);
      try {
        await this.sweep();
        this.#failures.succeeded();
      } catch (error) {
        // Expired keys are ignored wherever they are read, so a failure is harmless.
        this.#failures.failed(error);
      }
    }
  }
}
