// Sends queued mails. Several replicas share the jobs by leases.
import { backoffMs, type Clock, Wakeup } from "@muster/core";
import type { Database } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import { MailFailure, type MailTransport } from "@muster/mail";
import type { Metrics } from "@muster/metrics";
import {
  buryMailJob,
  claimMailJob,
  deleteDeadMailJobs,
  deleteMailJob,
  type MailJob,
  releaseMailJob,
  retryMailJob,
} from "./mail-job-store.ts";
import { type MailPayload, MailSeal } from "./mail-payload.ts";
import { deleteExpiredQuotas } from "./mail-quota-store.ts";
import { ATTEMPTS_MAX, nextAttemptMs } from "./next-attempt.ts";

/** Mails sent at the same time by one process. */
const LANES = 2;
/** Finds jobs of a process that died between its commit and the wake. */
const POLL_MS = 5_000;
/** Invariant: longer than the transport may take for a mail, plus differences of clocks. */
const LEASE_MS = 3 * 60_000;
const PAUSE = { minMs: 1_000, maxMs: 60_000 };
const STOP_MS = 5_000;
const DEAD_MS = 7 * 24 * 60 * 60_000;
const SWEEP_MS = 10 * 60_000;
const SWEEP_ROWS = 500;
const USELESS = "EXPIRED";
const TOO_MANY = "ATTEMPTS";
const UNREADABLE = "UNREADABLE";

export interface MailWorkerOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly transport: MailTransport;
  /** The key of the installation for mails. */
  readonly key: Uint8Array;
}

export class MailWorker {
  readonly name = "mail-worker";
  readonly #options: MailWorkerOptions;
  readonly #seal: MailSeal;
  readonly #outages: FailureLog;
  readonly #databaseFailures: FailureLog;
  readonly #sent: ReturnType<Metrics["counter"]>;
  readonly #failed: ReturnType<Metrics["counter"]>;
  readonly #dead: ReturnType<Metrics["counter"]>;
  readonly #wakeups: readonly Wakeup[] = Array.from({ length: LANES }, () => new Wakeup());
  readonly #stopping = new AbortController();
  /** Consecutive outages of the mail server. */
  #outageCount = 0;
  #running: Promise<unknown> | undefined;

  constructor(options: MailWorkerOptions) {
    const { log, metrics } = options;
    this.#options = options;
    this.#seal = new MailSeal(options.key);
    this.#outages = new FailureLog(log, {
      failed: "mails cannot be sent; retrying",
      recovered: "mails are sent again",
    });
    this.#databaseFailures = new FailureLog(log, {
      failed: "mail jobs cannot be read or written; retrying",
      recovered: "mail jobs are read and written again",
    });
    this.#sent = metrics.counter("muster_mails_sent_total", "Mails taken by the mail server.", ["kind"]);
    this.#failed = metrics.counter("muster_mail_failures_total", "Failed attempts to send a mail.", [
      "failure",
    ]);
    this.#dead = metrics.counter("muster_mails_dead_total", "Mails given up.", ["kind"]);
  }

  /** Searches for jobs at once. Called after the commit of a job. */
  wake(): void {
    for (const wakeup of this.#wakeups) wakeup.notify();
  }

  async start(): Promise<void> {
    this.#running ??= Promise.all([
      ...this.#wakeups.map((wakeup) => this.#runLane(wakeup)),
      this.#runSweep(),
    ]);
  }

  /** Lets mails that are being sent end for a while, then cuts them. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const cut = new AbortController();
    void this.#options.clock.sleep(STOP_MS, cut.signal).then(() => this.#options.transport.close());
    await this.#running;
    cut.abort("stopped");
  }

  async #runLane(wakeup: Wakeup): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const outages = this.#outageCount;
      const found = await this.#sendNext();
      // A wake must not cut the pause, or every new mail would be an attempt.
      if (this.#outageCount > outages) await clock.sleep(backoffMs(this.#outageCount, PAUSE), signal);
      else if (!found) await wakeup.wait(clock, POLL_MS, signal);
    }
  }

  /** False if no job was due. Never rejects. */
  async #sendNext(): Promise<boolean> {
    const { database } = this.#options;
    try {
      const nowMs = await database.nowMs();
      const job = await database.transaction((trx) => claimMailJob(trx, nowMs, nowMs + LEASE_MS));
      this.#databaseFailures.succeeded();
      if (job === undefined) return false;
      await this.#attempt(job, nowMs);
      return true;
    } catch (error) {
      this.#databaseFailures.failed(error);
      return false;
    }
  }

  async #attempt(job: MailJob, nowMs: number): Promise<void> {
    const { database, transport } = this.#options;
    if (job.usefulUntilMs <= nowMs) return this.#bury(job, USELESS);
    // Attempts that ended with their process have counted too.
    if (job.attempts > ATTEMPTS_MAX) return this.#bury(job, TOO_MANY);
    let payload: MailPayload;
    try {
      payload = this.#seal.open(job.id, job.payload);
    } catch {
      return this.#bury(job, UNREADABLE);
    }
    const { to, ...rendered } = payload;
    if (to !== null) {
      try {
        await transport.send({ id: job.id, createTimeMs: job.createTimeMs, to, ...rendered });
      } catch (error) {
        return this.#fail(job, error);
      }
      this.#outageCount = 0;
      this.#outages.succeeded();
      this.#sent.inc({ kind: job.kind });
    }
    await database.transaction((trx) => deleteMailJob(trx, job));
  }

  async #fail(job: MailJob, error: unknown): Promise<void> {
    const { database } = this.#options;
    const { kind, code } = error instanceof MailFailure ? error : new MailFailure("outage", "unknown");
    if (kind === "outage") {
      if (this.#stopping.signal.aborted) return database.transaction((trx) => releaseMailJob(trx, job));
      this.#outageCount += 1;
      this.#outages.failed(error);
    }
    this.#failed.inc({ failure: kind });
    const dueMs = nextAttemptMs(job.attempts, await database.nowMs(), job.usefulUntilMs);
    if (kind === "refused" || dueMs === undefined) return this.#bury(job, code);
    await database.transaction((trx) => retryMailJob(trx, job, { dueMs, failure: code }));
  }

  async #bury(job: MailJob, failure: string): Promise<void> {
    const { database, log } = this.#options;
    const deleteMs = (await database.nowMs()) + DEAD_MS;
    const isBuried = await database.transaction((trx) => buryMailJob(trx, job, { deleteMs, failure }));
    if (!isBuried) return;
    this.#dead.inc({ kind: job.kind });
    log.warn({ mailJob: job.id, mailKind: job.kind, attempts: job.attempts, failure }, "a mail was given up");
  }

  /** Deletes dead jobs and quotas after their time. Several instances at once are harmless. */
  async #runSweep(): Promise<void> {
    const { clock, database } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const nowMs = await database.nowMs();
        for (const sweep of [deleteDeadMailJobs, deleteExpiredQuotas]) {
          while ((await database.transaction((trx) => sweep(trx, nowMs, SWEEP_ROWS))) === SWEEP_ROWS) {
            if (signal.aborted) return;
          }
        }
        this.#databaseFailures.succeeded();
      } catch (error) {
        this.#databaseFailures.failed(error);
      }
      await clock.sleep(SWEEP_MS, signal);
    }
  }
}
