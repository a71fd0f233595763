// Erases persons and removes the remaining data in the background. The worker also resumes erasures that a
// crash interrupted, in this process or another.
import type { Bus } from "@muster/bus";
import { type Clock, Wakeup, withTimeout } from "@muster/core";
import type { Database } from "@muster/db";
import { FailureLog, type Logger } from "@muster/log";
import { readPublished } from "@muster/outbox";
import { ERASED_TOPIC } from "../topics.ts";
import {
  type BeginErasureDeps,
  beginErasure,
  type ErasureRequest,
  type StartedErasure,
} from "./begin-erasure.ts";
import { type CleanDeps, cleanRows, type ShouldContinue } from "./clean-rows.ts";
import { type ErasureKey, type ErasureTask, locations, stages } from "./erasure.ts";
import { addRemovedCounts, finishErasure } from "./erasure-store.ts";
import {
  leaseTask,
  listBrokerTasks,
  listOpenTasks,
  releaseTasks,
  renewLeases,
  setStage,
} from "./task-store.ts";

/** The ports of the worker. */
export interface ErasureWorkerOptions extends BeginErasureDeps, CleanDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly bus: Bus;
  readonly log: Logger;
  /** No other process uses the database, so no other worker holds a task. */
  readonly exclusive: boolean;
}

const NO_DATA = new Uint8Array();
/** The lease on a task; an expired task is taken by any worker. */
const LEASE_MS = 10_000;
/** The poll interval for expired tasks. */
const POLL_MS = 5_000;
/** The poll interval until the relay has published the messages that the broker must purge. */
const BROKER_POLL_MS = 100;
const TASKS_AT_ONCE = 500;
/** The longest wait of a call for the cleanup. */
const CALL_WAIT_MS_MAX = 5_000;
/** Time reserved before the deadline of the call for sending the response. */
const RESPONSE_MS = 500;

/** Runs in every process; leases on tasks distribute the work. */
export class ErasureWorker {
  readonly name = "erasures";
  readonly #options: ErasureWorkerOptions;
  readonly #log: Logger;
  readonly #wakeup = new Wakeup();
  readonly #stopping = new AbortController();
  readonly #cleanings = new Set<Promise<unknown>>();
  readonly #failures: FailureLog;
  #loop: Promise<void> | undefined;

  constructor(options: ErasureWorkerOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#failures = new FailureLog(options.log, {
      failed: "erasures fail; retrying",
      recovered: "erasures succeed again",
    });
  }

  async start(): Promise<void> {
    const { database, exclusive } = this.#options;
    if (exclusive) await database.transaction((trx) => releaseTasks(trx));
    this.#loop ??= this.#run();
  }

  /** Finishes the current step. Another start, in any process, resumes from there. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#loop, ...this.#cleanings]);
  }

  /**
   * Erases a person and returns the receipt when the tables are clean or the wait is over. Returns undefined
   * when no person exists.
   */
  async erase(
    request: Omit<ErasureRequest, "leaseUntilMs"> & { readonly deadlineMs: number | undefined },
  ): Promise<ErasureKey | undefined> {
    const { clock } = this.#options;
    const leaseUntilMs = clock.nowMs() + LEASE_MS;
    const started = await beginErasure(this.#options, { ...request, leaseUntilMs });
    if (started === undefined) return undefined;
    const cleaning = this.#cleanInBackground(started);
    const { deadlineMs } = request;
    const leftMs = deadlineMs === undefined ? CALL_WAIT_MS_MAX : deadlineMs - RESPONSE_MS - clock.nowMs();
    const waitMs = Math.min(CALL_WAIT_MS_MAX, Math.max(0, leftMs));
    await withTimeout(clock, waitMs, cleaning, () => undefined);
    return started.erasure;
  }

  #cleanInBackground({ erasure, tasks }: StartedErasure): Promise<void> {
    const cleaning = this.#clean(erasure, tasks).catch((error: unknown) => {
      // The tasks remain; the loop takes the tasks after the lease expires.
      this.#log.warn(
        { err: error, erasure_id: erasure.id },
        "erasure interrupted; the worker resumes it after the lease expires",
      );
    });
    this.#cleanings.add(cleaning);
    void cleaning.finally(() => this.#cleanings.delete(cleaning));
    return cleaning;
  }

  async #clean(erasure: ErasureKey, tasks: readonly ErasureTask[]): Promise<void> {
    const isClean = await cleanRows(this.#options, erasure, tasks, this.#shouldContinue(tasks));
    if (!isClean) return;
    this.#options.bus.broadcast(ERASED_TOPIC, NO_DATA);
    this.#wakeup.notify();
  }

  /** Renews the lease during the work. */
  #shouldContinue(tasks: readonly ErasureTask[]): ShouldContinue {
    const { clock, database } = this.#options;
    let renewedMs = clock.nowMs();
    return async () => {
      if (this.#stopping.signal.aborted) return false;
      const nowMs = clock.nowMs();
      if (nowMs - renewedMs > LEASE_MS / 3) {
        await database.transaction((trx) => renewLeases(trx, tasks, nowMs + LEASE_MS));
        renewedMs = nowMs;
      }
      return true;
    };
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let waitMs = POLL_MS;
      try {
        await this.#resumeExpiredTasks();
        if (await this.#purgeBrokerCopies()) waitMs = BROKER_POLL_MS;
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
      }
      await this.#wakeup.wait(clock, waitMs, signal);
    }
  }

  /** Resumes tasks with an expired lease. */
  async #resumeExpiredTasks(): Promise<void> {
    const { clock, database } = this.#options;
    const open = await listOpenTasks(database.reader, clock.nowMs(), TASKS_AT_ONCE);
    for (const tasks of Map.groupBy(open, (task) => task.erasure.id).values()) {
      const [first] = tasks;
      if (first === undefined || this.#stopping.signal.aborted) return;
      const nowMs = clock.nowMs();
      const leased = await database.transaction(async (trx) => {
        const leased: ErasureTask[] = [];
        for (const task of tasks) {
          if (await leaseTask(trx, task, { nowMs, untilMs: nowMs + LEASE_MS })) leased.push(task);
        }
        return leased;
      });
      if (leased.length > 0) await this.#clean(first.erasure, leased);
    }
  }

  /** Returns true when some copies must wait for the relay. */
  async #purgeBrokerCopies(): Promise<boolean> {
    const { bus, clock, database } = this.#options;
    const tasks = await listBrokerTasks(database.reader, TASKS_AT_ONCE);
    if (tasks.length === 0) return false;
    const published = await readPublished(database.reader);
    // A relay can still hold the old message in memory, so the relay must be past the position. Later reads
    // are clean.
    const ready = tasks.filter(({ shard, position }) => position <= (published.get(shard) ?? 0));
    // The tables are clean. The files of the database must be clean too before the tasks count as done.
    if (ready.length > 0) await database.removeDeletedData();
    for (const [shard, ofShard] of Map.groupBy(ready, (task) => task.shard)) {
      await bus.purge("events", shard);
      for (const task of ofShard) {
        await database.transaction(async (trx) => {
          await addRemovedCounts(trx, task.erasure, task.profileId, [
            { location: locations.stream, count: 1 },
          ]);
          await setStage(trx, task, stages.done);
          await finishErasure(trx, task.erasure, clock.nowMs());
        });
      }
    }
    return ready.length < tasks.length || tasks.length === TASKS_AT_ONCE;
  }
}
