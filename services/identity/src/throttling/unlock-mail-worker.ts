// Mails unlock links to owners of locked accounts, and deletes expired counters. The worker writes the mails, so that a
// login costs the same for addresses without an account.
import { type Clock, type IdSource, Wakeup } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import { insertActivity } from "../activity/activity-store.ts";
import type { Mailer } from "../mail/mailer.ts";
import { issueOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { findUser } from "../users/user-store.ts";
import {
  deleteExpiredCounters,
  listDueMails,
  lockCounters,
  type StoredCounter,
  writeCounters,
} from "./login-counter-store.ts";
import { UNLOCK_MAIL_INTERVAL_MS } from "./login-throttle.ts";

/** Between two passes without a wake-up: another process may have made a mail due. */
const INTERVAL_MS = 30_000;
const CHUNK_ROWS = 100;
const TOKEN_LIFETIME_MS = 3_600_000;

export interface UnlockMailDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly mailer: Pick<Mailer, "queue" | "wake">;
}

/** Several instances at once are harmless. */
export class UnlockMailWorker {
  readonly name = "unlock-mail-worker";
  readonly #deps: UnlockMailDeps;
  readonly #failures: FailureLog;
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  constructor(deps: UnlockMailDeps) {
    this.#deps = deps;
    this.#failures = new FailureLog(deps.log, {
      failed: "unlock mails were not queued; retrying later",
      recovered: "unlock mails are queued again",
    });
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** A mail has become due. */
  wake(): void {
    this.#wakeup.notify();
  }

  /** Queues every due mail and deletes every expired counter, or until the worker stops. */
  async sweep(): Promise<void> {
    const { database, clock, mailer } = this.#deps;
    await this.#inChunks(async () => {
      const due = await listDueMails(database.reader, CHUNK_ROWS);
      for (const key of due) await database.transaction((trx) => this.#mail(trx, key));
      if (due.length > 0) mailer.wake();
      return due.length;
    });
    const nowMs = clock.nowMs();
    await this.#inChunks(() => database.transaction((trx) => deleteExpiredCounters(trx, nowMs, CHUNK_ROWS)));
  }

  async #mail(trx: Transaction, key: Buffer): Promise<void> {
    const [counter] = await lockCounters(trx, [key]);
    // Another process was faster.
    if (counter?.mailDueTimeMs === undefined) return;
    const nowMs = this.#deps.clock.nowMs();
    await this.#mailOwner(trx, counter, nowMs);
    const mailed: StoredCounter = {
      ...counter,
      mailDueTimeMs: undefined,
      mailUserId: undefined,
      mailTimeMs: nowMs,
      expireTimeMs: Math.max(counter.expireTimeMs, nowMs + UNLOCK_MAIL_INTERVAL_MS),
    };
    await writeCounters(trx, [{ key, counter: mailed }]);
  }

  async #mailOwner(trx: Transaction, { mailUserId }: StoredCounter, nowMs: number): Promise<void> {
    const user = mailUserId && (await findUser(trx, mailUserId));
    if (user === undefined) return;
    const token = await issueOneTimeToken(trx, {
      purpose: "unlock",
      userId: user.id,
      securityVersion: user.securityVersion,
      details: {},
      createTimeMs: nowMs,
      expireTimeMs: nowMs + TOKEN_LIFETIME_MS,
    });
    await insertActivity(trx, this.#deps, { userId: user.id, kind: "login_locked", timeMs: nowMs });
    const { email: to, locale, name } = user;
    await this.#deps.mailer.queue(trx, { to, kind: "unlock", locale, values: { name, token } });
  }

  async #inChunks(run: () => Promise<number>): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      if ((await run()) < CHUNK_ROWS) break;
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      await this.#wakeup.wait(this.#deps.clock, INTERVAL_MS, this.#stopping.signal);
      try {
        await this.sweep();
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
      }
    }
  }
}
