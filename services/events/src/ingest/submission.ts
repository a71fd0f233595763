// What enters the ingest queue and what becomes of it.
import type { OrganizationId, TrackedEventId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { AppError } from "@muster/errors";
import type { OutboxDraft } from "@muster/outbox";
import type { TrackedEvent } from "../tracked-events/tracked-event.ts";

/** How a sent event says whose it is. */
export type SentIdentity = "user_id" | "anonymous_id" | "profile_id";

/** An event as sent: checked by itself, not yet against what is stored. */
export interface SubmittedEvent {
  readonly identityKind: SentIdentity;
  readonly identity: string;
  readonly name: string;
  /** A JSON object. */
  readonly properties: string;
  readonly occurredMs: number;
  readonly receivedMs: number;
  readonly clientEventId: string | undefined;
  /** The client said when it happened; otherwise `occurredMs` is the time of receipt. */
  readonly isDated: boolean;
  /** The id it gets if it is new. */
  readonly id: TrackedEventId;
  /** About what it takes in a statement and on the bus. */
  readonly bytes: number;
}

/** `alertCodes` are those of the rules that the event fired, ascending; an ingest step fills them in. */
export interface StoredOutcome {
  readonly status: "stored";
  readonly event: TrackedEvent;
  readonly alertCodes: number[];
}

export type EventOutcome =
  | StoredOutcome
  | { readonly status: "duplicate"; readonly event: TrackedEvent }
  | { readonly status: "rejected"; readonly error: AppError };

/** The events of one request: they commit together, and share no failure with other submissions. */
export interface Submission {
  readonly organizationId: OrganizationId;
  readonly events: readonly SubmittedEvent[];
  readonly bytes: number;
  /** W3C traceparent, or empty. */
  readonly traceParent: string;
  /** Keeps the answer in the transaction that stores the events. Called again when that is run again. */
  readonly settle: ((trx: Transaction, outcomes: readonly EventOutcome[]) => Promise<void>) | undefined;
  /**
   * What the events bring about before they are stored, if any is new: who is who from then on. Is told what
   * would become of each, and returns what to announce. Called again when the transaction is run again.
   */
  readonly prepare: Prepare | undefined;
}

export type Prepare = (
  trx: Transaction,
  outcomes: readonly EventOutcome[],
) => Promise<readonly OutboxDraft[]>;

export function createSubmission(
  organizationId: OrganizationId,
  events: readonly SubmittedEvent[],
  options: {
    readonly traceParent: string;
    readonly settle?: Submission["settle"];
    readonly prepare?: Prepare;
  },
): Submission {
  let bytes = 0;
  for (const event of events) bytes += event.bytes;
  const { traceParent, settle, prepare } = options;
  return { organizationId, events, bytes, traceParent, settle, prepare };
}
