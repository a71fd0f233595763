// Commits submissions in groups without a timer: while one transaction is in flight, the queue collects the
// submissions of the next. A single event does not wait; many concurrent events share one flush. The queue is
// bounded and fair to organizations.
import { assert } from "@muster/core";
import { isUniqueViolation } from "@muster/db";
import { AppError } from "@muster/errors";
import { kindOfError, type Logger, OutageLog } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { OutboxPort } from "@muster/outbox";
import { IDENTITY_CONFLICTS_MAX, IdentityConflict } from "../identity-graph/identity-transaction.ts";
import { type CommitDeps, commitBatch, ResponseSaveFailed } from "./commit-batch.ts";
import { FairQueue, type QueuedWork } from "./fair-queue.ts";
import { IngestMetrics } from "./ingest-metrics.ts";
import type { EventOutcome, Submission } from "./submission.ts";

/** The dependencies and limits of the queue. */
export interface IngestQueueOptions extends CommitDeps {
  readonly outbox: Pick<OutboxPort, "append" | "committed" | "backlogItems">;
  readonly log: Logger;
  readonly metrics: Metrics;
  /**
   * Maximum number of committed events that consumers have not applied yet. Above this number batches are
   * refused; single events are refused above twice the number.
   */
  readonly backlogItemsMax: number;
  readonly limits?: Partial<IngestLimits>;
}

/** Limits of transactions and of the queue; rows are events. */
export interface IngestLimits {
  /** Limits of one transaction. A larger single submission gets a transaction without other submissions. */
  readonly transactionRowsMax: number;
  readonly transactionBytesMax: number;
  /** Limits of the queue. */
  readonly queueRowsMax: number;
  readonly queueBytesMax: number;
}

const defaultLimits: IngestLimits = {
  transactionRowsMax: 2000,
  transactionBytesMax: 4 * 1024 * 1024,
  queueRowsMax: 100_000,
  queueBytesMax: 64 * 1024 * 1024,
};
/** Maximum number of concurrent exclusive transactions. */
const EXCLUSIVE_COMMITS_MAX = 4;
/** Rows that an organization takes at each turn. */
const QUANTUM_ROWS = 500;
const RETRY_AFTER_MS = 1000;
/** Maximum number of unique violations of a batch before the batch is divided. */
const VIOLATIONS_MAX = 6;
/** Number of batches after a duplicate event that check for duplicates before inserting. */
const DUPLICATE_CHECK_BATCHES = 50;

interface QueuedSubmission extends QueuedWork {
  readonly submission: Submission;
  readonly resolve: (outcomes: readonly EventOutcome[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Worker that commits submissions in groups. Stopping commits all waiting submissions. */
export class IngestQueue {
  readonly name = "ingest-queue";
  readonly #options: IngestQueueOptions;
  readonly #limits: IngestLimits;
  readonly #queue: FairQueue<QueuedSubmission>;
  readonly #metrics: IngestMetrics;
  #running: Promise<void> | undefined;
  /** Submissions that each get a transaction without other submissions. */
  readonly #exclusiveQueue: FairQueue<QueuedSubmission>;
  readonly #exclusiveRuns: (Promise<void> | undefined)[] = new Array(EXCLUSIVE_COMMITS_MAX).fill(undefined);
  #isStopped = false;
  /**
   * Duplicates come in runs (a repeated import, retries of a client), so the next batches check for
   * duplicates.
   */
  #duplicateCheckBatchesLeft = 0;
  readonly #divisions: OutageLog;

  constructor(options: IngestQueueOptions) {
    this.#options = options;
    const division = {
      failed: "a shared commit failed; dividing it",
      ended: "shared commits no longer fail",
      level: "warn",
    } as const;
    this.#divisions = new OutageLog(options.log, division, options.clock);
    this.#limits = { ...defaultLimits, ...options.limits };
    const bounds = { rowsMax: this.#limits.queueRowsMax, bytesMax: this.#limits.queueBytesMax };
    this.#queue = new FairQueue({ ...bounds, quantumRows: QUANTUM_ROWS });
    this.#exclusiveQueue = new FairQueue({ ...bounds, quantumRows: 1 });
    this.#metrics = new IngestMetrics(options.metrics, () => this.#queue.rows + this.#exclusiveQueue.rows);
  }

  async start(): Promise<void> {}

  /** Commits all waiting submissions and rejects new ones. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await Promise.all(this.#exclusiveRuns);
  }

  /**
   * Resolves after the commit with an outcome for each event. Rejects with OVERLOADED if the queue is full.
   */
  submit(submission: Submission, kind: "single" | "batch"): Promise<readonly EventOutcome[]> {
    return this.#enqueue(submission, kind, this.#queue, () => {
      this.#running ??= this.#run();
    });
  }

  /**
   * Like `submit`, but in an exclusive transaction, because an identity change locks the affected profiles.
   */
  submitExclusive(submission: Submission, kind: "single" | "batch"): Promise<readonly EventOutcome[]> {
    return this.#enqueue(submission, kind, this.#exclusiveQueue, () => {
      const free = this.#exclusiveRuns.indexOf(undefined);
      if (free !== -1) this.#exclusiveRuns[free] = this.#runExclusive(free);
    });
  }

  #enqueue(
    submission: Submission,
    kind: "single" | "batch",
    queue: FairQueue<QueuedSubmission>,
    run: () => void,
  ): Promise<readonly EventOutcome[]> {
    assert(submission.events.length > 0, "a submission holds at least one event");
    if (this.#isStopped) return Promise.reject(new AppError("UNAVAILABLE", { retryAfterMs: RETRY_AFTER_MS }));
    const { backlogItemsMax, outbox } = this.#options;
    const backlogMax = kind === "single" ? 2 * backlogItemsMax : backlogItemsMax;
    if (outbox.backlogItems() > backlogMax) return this.#refuse("backlog");
    return new Promise((resolve, reject) => {
      const { organizationId, events, bytes } = submission;
      const waiting = { organizationId, rows: events.length, bytes, submission, resolve, reject };
      if (queue.offer(waiting)) run();
      else this.#refuse("queue").catch(reject);
    });
  }

  #refuse(reason: "backlog" | "queue"): Promise<never> {
    this.#metrics.refused(reason);
    return Promise.reject(new AppError("OVERLOADED", { retryAfterMs: RETRY_AFTER_MS }));
  }

  async #run(): Promise<void> {
    while (!this.#queue.isEmpty) {
      // Yields to the event loop once, so that requests that have already arrived join the batch. SQLite
      // commits synchronously and does not yield.
      await new Promise((resolve) => setImmediate(resolve));
      const { transactionRowsMax, transactionBytesMax } = this.#limits;
      await this.#commit(this.#queue.take(transactionRowsMax, transactionBytesMax));
    }
    this.#running = undefined;
  }

  async #runExclusive(slot: number): Promise<void> {
    while (!this.#exclusiveQueue.isEmpty) {
      for (const waiting of this.#exclusiveQueue.take(1, 0)) await this.#commit([waiting]);
    }
    this.#exclusiveRuns[slot] = undefined;
  }

  /** Never rejects: each submission is resolved or rejected individually. */
  async #commit(batch: readonly QueuedSubmission[]): Promise<void> {
    let remaining = batch;
    for (let violations = 0, identityConflicts = 0; remaining.length > 0; ) {
      const checkDuplicates = this.#duplicateCheckBatchesLeft > 0;
      try {
        await this.#commitOnce(remaining, checkDuplicates);
        this.#divisions.checkEnds();
        return;
      } catch (error) {
        if (error instanceof ResponseSaveFailed && !isUnavailable(error.cause)) {
          for (const waiting of remaining)
            if (waiting.submission === error.submission) waiting.reject(error.cause);
          remaining = remaining.filter((waiting) => waiting.submission !== error.submission);
        } else if (isUniqueViolation(error) && violations < VIOLATIONS_MAX) {
          violations += 1;
          this.#metrics.retried();
          this.#duplicateCheckBatchesLeft = DUPLICATE_CHECK_BATCHES;
        } else if (error instanceof IdentityConflict && identityConflicts < IDENTITY_CONFLICTS_MAX) {
          identityConflicts += 1;
          this.#metrics.retried();
        } else {
          await this.#divide(remaining, error);
          return;
        }
      }
    }
  }

  async #commitOnce(batch: readonly QueuedSubmission[], checkDuplicates: boolean): Promise<void> {
    const submissions = batch.map((waiting) => waiting.submission);
    const startMs = this.#options.clock.monotonicMs();
    const { outcomes, hasDuplicates } = await commitBatch(this.#options, submissions, { checkDuplicates });
    if (checkDuplicates)
      this.#duplicateCheckBatchesLeft = hasDuplicates
        ? DUPLICATE_CHECK_BATCHES
        : Math.max(0, this.#duplicateCheckBatchesLeft - 1);
    this.#metrics.committed(outcomes, this.#options.clock.monotonicMs() - startMs);
    for (const [index, waiting] of batch.entries()) waiting.resolve(outcomes[index] ?? []);
  }

  /**
   * Divides a failed batch to isolate the failing submission, so that other submissions do not share the
   * failure.
   */
  async #divide(batch: readonly QueuedSubmission[], error: unknown): Promise<void> {
    const cause = error instanceof ResponseSaveFailed ? error.cause : error;
    // An unavailable database fails every submission, so dividing would only delay the failures.
    if (batch.length === 1 || isUnavailable(cause)) {
      const response =
        isUniqueViolation(cause) || cause instanceof IdentityConflict
          ? new AppError("UNAVAILABLE", { cause, retryAfterMs: RETRY_AFTER_MS })
          : cause;
      for (const waiting of batch) waiting.reject(response);
      return;
    }
    this.#divisions.failed(kindOfError(cause), cause, { submissions: batch.length });
    const half = Math.ceil(batch.length / 2);
    await this.#commit(batch.slice(0, half));
    await this.#commit(batch.slice(half));
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof AppError && error.reason === "UNAVAILABLE";
}
