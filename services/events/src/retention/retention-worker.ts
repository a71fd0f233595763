// Deletes expired rows of all organizations with a limited retention. The row of the organization leases each
// pass, so that a single replica does the work. Two concurrent passes would be harmless.
import { type Clock, type OrganizationId, Wakeup } from "@muster/core";
import type { Database } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import { purgeAggregates } from "./purge-aggregates.ts";
import { purgeRawEvents } from "./purge-raw-events.ts";
import { PurgeThrottle, type PurgeThrottleTimings } from "./purge-throttle.ts";
import { horizonMs } from "./retention.ts";
import { RetentionMetrics } from "./retention-metrics.ts";
import { type DueRetention, endPass, findDueRetention, holdsPass, leasePass } from "./retention-store.ts";

export interface RetentionWorkerOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly throttle?: PurgeThrottleTimings;
}

/** The interval between two passes over an organization. */
const PASS_EVERY_MS = 5 * 60_000;
/** The lease on a pass; an expired pass is taken by any replica. */
const LEASE_MS = 60_000;
/** The longest turn of an organization. A longer pass continues after the other organizations. */
const TURN_MS = 20_000;
const POLL_EVERY_MS = 60_000;

/** Runs in every process; the lease on a pass selects the process for an organization. */
export class RetentionWorker {
  readonly name = "retention";
  readonly #options: RetentionWorkerOptions;
  readonly #metrics: RetentionMetrics;
  readonly #stopping = new AbortController();
  readonly #wakeup = new Wakeup();
  #running: Promise<void> | undefined;

  readonly #failures: FailureLog;

  constructor(options: RetentionWorkerOptions) {
    this.#options = options;
    this.#failures = new FailureLog(options.log, {
      failed: "the purge of expired rows failed; retrying",
      recovered: "expired rows are purged again",
    });
    this.#metrics = new RetentionMetrics(options.metrics);
  }

  async start(): Promise<void> {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Wakes the worker after a retention was shortened. */
  wake(): void {
    this.#wakeup.notify();
  }

  /** Deletes all expired rows, unless the worker stops. */
  async purge(): Promise<void> {
    const { clock, database } = this.#options;
    let after: OrganizationId | undefined;
    while (!this.#stopping.signal.aborted) {
      const nowMs = clock.nowMs();
      const due = await findDueRetention(database.reader, after, nowMs);
      if (due !== undefined) await this.#takeTurn(due);
      else if (after === undefined) break;
      after = due?.organizationId;
    }
    this.#metrics.behind(0);
  }

  async #takeTurn(due: DueRetention): Promise<void> {
    const { clock, database, throttle } = this.#options;
    const { organizationId, days } = due;
    const startMs = clock.nowMs();
    const turnEndMs = clock.monotonicMs() + TURN_MS;
    let held = { ...due, nextPassMs: startMs + LEASE_MS };
    if (!(await database.transaction((trx) => leasePass(trx, due, held.nextPassMs)))) return;
    const shouldContinue = async (): Promise<boolean> => {
      if (this.#stopping.signal.aborted || clock.monotonicMs() >= turnEndMs) return false;
      const nowMs = clock.nowMs();
      if (held.nextPassMs - nowMs > LEASE_MS / 2) return holdsPass(database.reader, held);
      const renewed = { ...held, nextPassMs: nowMs + LEASE_MS };
      if (!(await database.transaction((trx) => leasePass(trx, held, renewed.nextPassMs)))) return false;
      held = renewed;
      return true;
    };
    const purge = {
      organizationId,
      shouldContinue,
      throttle: new PurgeThrottle(clock, this.#stopping.signal, throttle),
    };
    const deps = { database, metrics: this.#metrics };
    const aggregatesMs = horizonMs(days.aggregateDays, startMs);
    const rawMs = horizonMs(days.rawEventDays, startMs);
    const aggregates =
      aggregatesMs === undefined
        ? { isDone: true, history: due.history }
        : await purgeAggregates(deps, {
            ...purge,
            horizonMs: aggregatesMs,
            nowMs: startMs,
            history: due.history,
          });
    const resumeDay =
      rawMs === undefined
        ? undefined
        : await purgeRawEvents(deps, {
            ...purge,
            rawEventDays: days.rawEventDays,
            horizonMs: rawMs,
            fromDay: due.resumeDay,
          });
    const isOver = aggregates.isDone && resumeDay === undefined;
    const nextPassMs = isOver ? startMs + PASS_EVERY_MS : startMs;
    const { history } = aggregates;
    const pass = { heldUntilMs: held.nextPassMs, nextPassMs, resumeDay, history };
    await database.transaction((trx) => endPass(trx, organizationId, pass));
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#wakeup.wait(clock, POLL_EVERY_MS, signal);
      try {
        if (!signal.aborted) await this.purge();
        this.#failures.succeeded();
      } catch (error) {
        // The next pass finds the remaining rows; only the deletion is delayed.
        this.#failures.failed(error);
      }
    }
  }
}
