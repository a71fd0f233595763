// Holds a submission in the ingest queue. A transaction may store a part of the events: the submission resolves
// when all parts are committed.
import type { OrganizationId } from "@muster/core";
import type { QueuedWork } from "./fair-queue.ts";
import type { EventOutcome, Submission } from "./submission.ts";

/** A submission whose events are not all committed. */
export class QueuedSubmission implements QueuedWork {
  readonly organizationId: OrganizationId;
  readonly #submission: Submission;
  readonly #resolve: (outcomes: readonly EventOutcome[]) => void;
  readonly #reject: (error: unknown) => void;
  readonly #outcomes: EventOutcome[] = [];
  /** Events that transactions have taken, and the bytes of the others. */
  #taken = 0;
  #bytes: number;

  constructor(
    submission: Submission,
    resolve: (outcomes: readonly EventOutcome[]) => void,
    reject: (error: unknown) => void,
  ) {
    this.organizationId = submission.organizationId;
    this.#submission = submission;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#bytes = submission.bytes;
  }

  get rows(): number {
    return this.#submission.events.length - this.#taken;
  }

  get bytes(): number {
    return this.#bytes;
  }

  bytesOf(row: number): number {
    return this.#submission.events[this.#taken + row]?.bytes ?? 0;
  }

  takeRows(rows: number): void {
    for (let row = 0; row < rows; row += 1) this.#bytes -= this.bytesOf(row);
    this.#taken += rows;
  }

  /** Returns the last `rows` taken events as a submission. The last part saves the response to all parts. */
  partOf(rows: number): Submission {
    const { events, saveResponse } = this.#submission;
    if (rows === events.length) return this.#submission;
    const start = this.#taken - rows;
    const before = [...this.#outcomes];
    const isLast = this.rows === 0;
    return {
      ...this.#submission,
      events: events.slice(start, this.#taken),
      saveResponse: isLast && saveResponse ? (trx, own) => saveResponse(trx, [...before, ...own]) : undefined,
    };
  }

  /** Adds the outcomes of a committed part. */
  committed(outcomes: readonly EventOutcome[]): void {
    for (const outcome of outcomes) this.#outcomes.push(outcome);
    if (this.#outcomes.length === this.#submission.events.length) this.#resolve(this.#outcomes);
  }

  /** Fails the submission; committed parts stay. */
  reject(error: unknown): void {
    this.#reject(error);
  }
}
