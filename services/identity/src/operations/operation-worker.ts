// Runs operations in the background. Several replicas share the operations by leases, and continue after a crash.
import { backoffMs, type Clock, PlainError, Wakeup } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import type { ReasonName } from "@muster/errors";
import { FailureLog, type Logger } from "@muster/log";
import { type LeasedOperation, LeaseLost, type OperationData, OperationFailed } from "./operation.ts";
import type { OperationStore } from "./operation-store.ts";

/** A step of an operation that a worker runs. */
export interface OperationRun {
  readonly operation: LeasedOperation;
  readonly signal: AbortSignal;
  /**
   * Extends the lease and saves how far the work is. Call it between steps, at least every 20 seconds. Rejects when
   * another worker has taken the operation, and when this worker stops.
   */
  renew(change?: { readonly progress?: number; readonly input?: OperationData }): Promise<void>;
}

/** Does the work of a kind of operations. Every step may run twice, because a crash can come between any two lines. */
export interface OperationRunner {
  /**
   * Works until the operation has ended. The last transaction calls `finish` of the store. A runner that waits for
   * something calls `release` with the time of the next attempt. Rejects with OperationFailed to give up; any other
   * error is a failed attempt.
   */
  run(run: OperationRun): Promise<void>;
  /** Repeats a failed attempt without end, for work that nobody can begin again. */
  readonly neverGivesUp?: boolean;
  /** Removes, in the transaction of the failure, what an operation that is given up leaves behind. */
  discard?(trx: Transaction, operation: LeasedOperation): Promise<void>;
}

export interface OperationWorkerOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  /** No other process uses the database, so no other worker has a lease. */
  readonly exclusive: boolean;
  readonly operations: OperationStore;
  readonly runners: ReadonlyMap<string, OperationRunner>;
}

/** Operations that one process runs at the same time. */
const LANES = 2;
/** Finds operations whose process died. */
const POLL_MS = 5_000;
/** Fencing tokens make a lease that ends early harmless, so clocks may differ. */
const LEASE_MS = 60_000;
const RETRY = { minMs: 1_000, maxMs: 5 * 60_000 };
const FAILURES_MAX = 20;
/** An operation that ends its process fails at no count of failures. A restart permits as many leases again. */
const LEASES_MAX = 1_000;
const SWEEP_MS = 10 * 60_000;
const SWEEP_ROWS = 500;

/** The worker stops; another one continues. */
class WorkerStopped extends PlainError {
  override name = "WorkerStopped";
}

export class OperationWorker {
  readonly name = "operations";
  readonly #options: OperationWorkerOptions;
  readonly #kinds: readonly string[];
  readonly #failures: FailureLog;
  readonly #attempts: FailureLog;
  readonly #wakeups: readonly Wakeup[] = Array.from({ length: LANES }, () => new Wakeup());
  readonly #stopping = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor(options: OperationWorkerOptions) {
    this.#options = options;
    this.#kinds = [...options.runners.keys()];
    this.#failures = new FailureLog(options.log, {
      failed: "operations cannot be read or written; retrying",
      recovered: "operations are read and written again",
    });
    this.#attempts = new FailureLog(options.log, { failed: "attempts at operations fail; retrying" });
  }

  /** Searches for operations at once. Called after the commit of an operation. */
  wake(): void {
    for (const wakeup of this.#wakeups) wakeup.notify();
  }

  async start(): Promise<void> {
    const { clock, database, exclusive, operations } = this.#options;
    if (exclusive && this.#running === undefined) {
      await database.transaction((trx) => operations.releaseAll(trx, clock.nowMs()));
    }
    this.#running ??= Promise.all([
      ...this.#wakeups.map((wakeup) => this.#runLane(wakeup)),
      this.#runSweep(),
    ]);
  }

  /** Ends after the current step of each operation. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async sweep(): Promise<void> {
    const { clock, database, operations } = this.#options;
    const nowMs = clock.nowMs();
    while (!this.#stopping.signal.aborted) {
      const deleted = await database.transaction((trx) => operations.deleteExpired(trx, nowMs, SWEEP_ROWS));
      if (deleted < SWEEP_ROWS) return;
    }
  }

  async #runLane(wakeup: Wakeup): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let hasFound = false;
      try {
        hasFound = await this.#runNext();
        this.#failures.succeeded();
      } catch (error) {
        this.#failures.failed(error);
      }
      if (!hasFound) await wakeup.wait(this.#options.clock, POLL_MS, signal);
    }
  }

  async #runSweep(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#options.clock.sleep(SWEEP_MS, signal);
      try {
        await this.sweep();
      } catch (error) {
        this.#failures.failed(error);
      }
    }
  }

  /** False if no operation is due. */
  async #runNext(): Promise<boolean> {
    const { clock, database, operations, runners } = this.#options;
    const nowMs = clock.nowMs();
    const lease = { nowMs, untilMs: nowMs + LEASE_MS };
    const operation = await database.transaction((trx) => operations.claim(trx, this.#kinds, lease));
    const runner = operation && runners.get(operation.kind);
    if (operation === undefined || runner === undefined) return false;
    try {
      if (operation.fencingToken % LEASES_MAX === 0) throw new OperationFailed("INTERNAL");
      await runner.run({
        operation,
        signal: this.#stopping.signal,
        renew: (change) => this.#renew(operation, change),
      });
      this.#attempts.succeeded();
    } catch (error) {
      await this.#afterFailure(runner, operation, error);
    }
    return true;
  }

  async #renew(
    operation: LeasedOperation,
    change: { readonly progress?: number; readonly input?: OperationData } = {},
  ): Promise<void> {
    const { clock, database, operations } = this.#options;
    if (this.#stopping.signal.aborted) throw new WorkerStopped("the worker stops");
    const untilMs = clock.nowMs() + LEASE_MS;
    await database.transaction((trx) => operations.renew(trx, operation, { ...change, untilMs }));
  }

  async #afterFailure(runner: OperationRunner, operation: LeasedOperation, error: unknown): Promise<void> {
    const { clock, database, log, operations } = this.#options;
    if (error instanceof LeaseLost) return;
    const nowMs = clock.nowMs();
    if (error instanceof WorkerStopped) {
      await this.#unlessLost(() =>
        database.transaction((trx) => operations.release(trx, operation, { dueMs: 0 })),
      );
      return;
    }
    const failures = operation.failures + 1;
    const { id: operation_id, kind } = operation;
    const isLast = error instanceof OperationFailed || failures >= FAILURES_MAX;
    if (isLast && runner.neverGivesUp !== true) {
      const reason: ReasonName = error instanceof OperationFailed ? error.reason : "INTERNAL";
      log.error({ err: error, operation_id, kind }, "an operation was given up");
      await this.#unlessLost(() =>
        database.transaction(async (trx) => {
          await operations.requireLease(trx, operation);
          await runner.discard?.(trx, operation);
          await operations.fail(trx, operation, { nowMs, reason });
        }),
      );
      return;
    }
    this.#attempts.failed(error, { operation_id, kind, failures });
    const dueMs = nowMs + backoffMs(failures, RETRY);
    await this.#unlessLost(() =>
      database.transaction((trx) => operations.release(trx, operation, { dueMs, failures })),
    );
  }

  async #unlessLost(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
    }
  }
}
