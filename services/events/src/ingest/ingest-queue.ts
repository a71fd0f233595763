// Commits submissions in groups without a timer: while one transaction is in flight, the queue collects the
// submissions of the next. A single event does not wait; many concurrent events share one flush. The queue is
// bounded and fair to organizations, and transactions are short: large submissions commit in parts.
import { assert, type OrganizationId } from "@muster/core";
import { isUniqueViolation } from "@muster/db";
import { AppError } from "@muster/errors";
import { kindOfError, type Logger, OutageLog } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { OutboxPort } from "@muster/outbox";
import { IDENTITY_CONFLICTS_MAX, IdentityConflict } from "../identity-graph/identity-transaction.ts";
import { type CommitDeps, commitBatch, ResponseSaveFailed } from "./commit-batch.ts";
import { COMMIT_TARGET_MS, CommitSizes } from "./commit-sizes.ts";
import { FairQueue, type Taken } from "./fair-queue.ts";
import { IngestMetrics } from "./ingest-metrics.ts";
import { QueuedSubmission } from "./queued-submission.ts";
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
  /** Limits of one transaction. A larger submission commits in several transactions. */
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
/** Maximum number of concurrent exclusive transactions. SQLite has one writer, so that more would only wait. */
const EXCLUSIVE_COMMITS_MAX = { mysql: 4, sqlite: 1 } as const;
/** Time that an organization takes at each turn. */
const QUANTUM_MS = COMMIT_TARGET_MS / 4;
/** Rows of an organization in one transaction. */
const SIZES = { initial: 200, min: 20, max: 2000, targetMs: COMMIT_TARGET_MS };
/**
 * Calls with identity claims in one transaction, because the transaction locks profiles until the commit. Shorter,
 * because single events of other organizations wait for it as well as for a shared transaction.
 */
const EXCLUSIVE_SIZES = { initial: 20, min: 5, max: 50, targetMs: COMMIT_TARGET_MS / 2 };
const RETRY_AFTER_MS = 1000;
/** Maximum number of unique violations of a batch before the batch is divided. */
const VIOLATIONS_MAX = 6;
/** Number of batches after a duplicate event that check for duplicates before inserting. */
const DUPLICATE_CHECK_BATCHES = 50;

/** A submission, or a part of one, in a transaction. */
interface Part {
  readonly queued: QueuedSubmission;
  readonly submission: Submission;
}

interface Commits {
  readonly queue: FairQueue<QueuedSubmission>;
  readonly sizes: CommitSizes;
}

/** Worker that commits submissions in groups. Stopping commits all waiting submissions. */
export class IngestQueue {
  readonly name = "ingest-queue";
  readonly #options: IngestQueueOptions;
  readonly #limits: IngestLimits;
  readonly #shared: Commits;
  readonly #metrics: IngestMetrics;
  #running: Promise<void> | undefined;
  /** Submissions that each get a transaction without other submissions. */
  readonly #exclusive: Commits;
  readonly #exclusiveRuns: (Promise<void> | undefined)[];
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
    const commitsOf = (sizes: CommitSizes, isDivisible: boolean): Commits => {
      const rowMs = sizes.rowMsOf.bind(sizes);
      return { sizes, queue: new FairQueue({ ...bounds, quantumMs: QUANTUM_MS, isDivisible, rowMs }) };
    };
    this.#shared = commitsOf(new CommitSizes(SIZES), true);
    this.#exclusive = commitsOf(new CommitSizes(EXCLUSIVE_SIZES), false);
    this.#exclusiveRuns = new Array(EXCLUSIVE_COMMITS_MAX[options.database.engine]).fill(undefined);
    const queues = [this.#shared.queue, this.#exclusive.queue];
    this.#metrics = new IngestMetrics(options.metrics, () => queues.reduce((sum, { rows }) => sum + rows, 0));
  }

  async start(): Promise<void> {}

  /** Commits all waiting submissions and rejects new ones. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await Promise.all(this.#exclusiveRuns);
  }

  /**
   * Resolves after the commit with an outcome for each event. Costly or numerous events commit in several
   * transactions, in order. Rejects with OVERLOADED if the queue is full, before any event is stored.
   */
  submit(submission: Submission, kind: "single" | "batch"): Promise<readonly EventOutcome[]> {
    return this.#enqueue(submission, kind, this.#shared.queue, () => {
      this.#running ??= this.#run();
    });
  }

  /**
   * Like `submit`, but in an exclusive transaction, because an identity change locks the affected profiles.
   */
  submitExclusive(submission: Submission, kind: "single" | "batch"): Promise<readonly EventOutcome[]> {
    return this.#enqueue(submission, kind, this.#exclusive.queue, () => {
      const free = this.#exclusiveRuns.indexOf(undefined);
      if (free !== -1) this.#exclusiveRuns[free] = this.#runExclusive(free);
    });
  }

  /** Returns how many events of the organization an exclusive transaction should store. */
  exclusiveRows(organizationId: OrganizationId): number {
    return this.#exclusive.sizes.rowsOf(organizationId);
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
      if (queue.offer(new QueuedSubmission(submission, resolve, reject))) run();
      else this.#refuse("queue").catch(reject);
    });
  }

  #refuse(reason: "backlog" | "queue"): Promise<never> {
    this.#metrics.refused(reason);
    return Promise.reject(new AppError("OVERLOADED", { retryAfterMs: RETRY_AFTER_MS }));
  }

  async #run(): Promise<void> {
    const { queue } = this.#shared;
    while (!queue.isEmpty) {
      // Yields to the event loop once, so that requests that have already arrived join the batch. SQLite
      // commits synchronously and does not yield.
      await new Promise((resolve) => setImmediate(resolve));
      const { transactionRowsMax: rows, transactionBytesMax: bytes } = this.#limits;
      await this.#commit(this.#shared, queue.take({ rows, bytes, ms: COMMIT_TARGET_MS }).map(partOf));
    }
    this.#running = undefined;
  }

  async #runExclusive(slot: number): Promise<void> {
    const { queue } = this.#exclusive;
    while (!queue.isEmpty) {
      const oneItem = { rows: 0, bytes: 0, ms: 0 };
      await this.#commit(this.#exclusive, queue.take(oneItem).map(partOf));
    }
    this.#exclusiveRuns[slot] = undefined;
  }

  /** Never rejects: each submission is resolved or rejected individually. */
  async #commit(commits: Commits, batch: readonly Part[]): Promise<void> {
    let remaining = batch;
    for (let violations = 0, identityConflicts = 0; remaining.length > 0; ) {
      const checkDuplicates = this.#duplicateCheckBatchesLeft > 0;
      try {
        await this.#commitOnce(commits, remaining, checkDuplicates);
        this.#divisions.checkEnds();
        return;
      } catch (error) {
        if (error instanceof ResponseSaveFailed && !isUnavailable(error.cause)) {
          const failed = remaining.filter((part) => part.submission === error.submission);
          reject(commits, failed, error.cause);
          remaining = remaining.filter((part) => part.submission !== error.submission);
        } else if (isUniqueViolation(error) && violations < VIOLATIONS_MAX) {
          violations += 1;
          this.#metrics.retried();
          this.#duplicateCheckBatchesLeft = DUPLICATE_CHECK_BATCHES;
        } else if (error instanceof IdentityConflict && identityConflicts < IDENTITY_CONFLICTS_MAX) {
          identityConflicts += 1;
          this.#metrics.retried();
        } else {
          await this.#divide(commits, remaining, error);
          return;
        }
      }
    }
  }

  async #commitOnce(commits: Commits, batch: readonly Part[], checkDuplicates: boolean): Promise<void> {
    const submissions = batch.map((part) => part.submission);
    const startMs = this.#options.clock.monotonicMs();
    const { plan, heldMs } = await commitBatch(this.#options, submissions, { checkDuplicates });
    const { outcomes, hasDuplicates } = plan;
    commits.sizes.record(rowsByOrganization(submissions), heldMs);
    if (checkDuplicates)
      this.#duplicateCheckBatchesLeft = hasDuplicates
        ? DUPLICATE_CHECK_BATCHES
        : Math.max(0, this.#duplicateCheckBatchesLeft - 1);
    this.#metrics.committed(outcomes, this.#options.clock.monotonicMs() - startMs);
    for (const [index, { queued }] of batch.entries()) queued.committed(outcomes[index] ?? []);
  }

  /**
   * Divides a failed batch to isolate the failing submission, so that other submissions do not share the
   * failure.
   */
  async #divide(commits: Commits, batch: readonly Part[], error: unknown): Promise<void> {
    const cause = error instanceof ResponseSaveFailed ? error.cause : error;
    // An unavailable database fails every submission, so dividing would only delay the failures.
    if (batch.length === 1 || isUnavailable(cause)) {
      const response =
        isUniqueViolation(cause) || cause instanceof IdentityConflict
          ? new AppError("UNAVAILABLE", { cause, retryAfterMs: RETRY_AFTER_MS })
          : cause;
      reject(commits, batch, response);
      return;
    }
    this.#divisions.failed(kindOfError(cause), cause, { submissions: batch.length });
    const half = Math.ceil(batch.length / 2);
    await this.#commit(commits, batch.slice(0, half));
    await this.#commit(commits, batch.slice(half));
  }
}

function partOf({ work, rows }: Taken<QueuedSubmission>): Part {
  return { queued: work, submission: work.partOf(rows) };
}

/** Fails the submissions of the parts. Events that no transaction has taken yet are dropped. */
function reject({ queue }: Commits, parts: readonly Part[], error: unknown): void {
  for (const { queued } of parts) {
    queue.drop(queued);
    queued.reject(error);
  }
}

function rowsByOrganization(submissions: readonly Submission[]): Map<OrganizationId, number> {
  const rows = new Map<OrganizationId, number>();
  for (const { organizationId, events } of submissions) {
    rows.set(organizationId, (rows.get(organizationId) ?? 0) + events.length);
  }
  return rows;
}

function isUnavailable(error: unknown): boolean {
  return error instanceof AppError && error.reason === "UNAVAILABLE";
}
