// Deletes seals of replaced refresh tokens after the grace period, old tokens and sessions, and expired devices.
import type { Clock } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import { deleteExpiredDevices } from "../login/known-device-store.ts";
import {
  deleteEndedSeals,
  deleteTokensOfSessions,
  deleteUsedTokens,
} from "../sessions/refresh-token-store.ts";
import { SESSION_IDLE_MS } from "../sessions/session.ts";
import { deleteExpiredSessions } from "../sessions/session-store.ts";

const INTERVAL_MS = 10_000;
const CHUNK_ROWS = 200;
/** A used token reveals a theft for so long. */
const USED_TOKEN_MS = SESSION_IDLE_MS;
/** A token of an ended session is refused with SESSION_ENDED for so long. */
const ENDED_SESSION_MS = 86_400_000;

/** Several instances at once are harmless. */
export class SessionWorker {
  readonly name = "session-worker";
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #failures: FailureLog;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(options: { readonly database: Database; readonly clock: Clock; readonly log: Logger }) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#failures = new FailureLog(options.log, {
      failed: "old sessions and refresh tokens were not deleted; retrying later",
      recovered: "old sessions and refresh tokens are deleted again",
    });
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Deletes what has ended by now, or until the worker stops. */
  async sweep(): Promise<void> {
    const databaseNowMs = await this.#database.nowMs();
    await this.#inChunks((trx) => deleteEndedSeals(trx, databaseNowMs, CHUNK_ROWS));
    await this.#inChunks((trx) => deleteUsedTokens(trx, databaseNowMs - USED_TOKEN_MS, CHUNK_ROWS));
    await this.#inChunks(async (trx) => {
      const ids = await deleteExpiredSessions(trx, databaseNowMs - ENDED_SESSION_MS, CHUNK_ROWS);
      await deleteTokensOfSessions(trx, ids);
      return ids.length;
    });
    await this.#inChunks((trx) => deleteExpiredDevices(trx, databaseNowMs, CHUNK_ROWS));
  }

  async #inChunks(remove: (trx: Transaction) => Promise<number>): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      if ((await this.#database.transaction(remove)) < CHUNK_ROWS) break;
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#clock.sleep(INTERVAL_MS, this.#stopping.signal);
      try {
        await this.sweep();
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
      }
    }
  }
}
