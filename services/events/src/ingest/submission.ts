// Declares the input and the outcomes of the ingest queue.
import type { OrganizationId, TrackedEventId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { AppError } from "@muster/errors";
import type { OutboxDraft } from "@muster/outbox";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";

/** The field by which a sent event names the person. */
export type EventIdentityKind = "user_id" | "anonymous_id" | "profile_id";

/** A sent event with valid fields. Duplicates and conflicts with stored events are not checked yet. */
export interface SubmittedEvent {
  readonly identityKind: EventIdentityKind;
  readonly identity: string;
  readonly name: string;
  /** A JSON object. */
  readonly properties: string;
  readonly occurredMs: number;
  readonly receivedMs: number;
  readonly clientEventId: string | undefined;
  /**
   * How a repeated event is found: by the id, which every attempt repeats, or by the client id. Undefined if the
   * client repeats neither.
   */
  readonly repeatedBy: "id" | "client_id" | undefined;
  /** The id of the event if it is new. */
  readonly id: TrackedEventId;
  /** Estimated size in a statement and in a message. */
  readonly bytes: number;
}

/** `alertCodes` are the codes of the fired alert rules, ascending. */
export interface StoredOutcome {
  readonly status: "stored";
  readonly event: TrackedEvent;
  readonly alertCodes: readonly number[];
}

/** The outcome of one event: stored, a duplicate of a stored event, or rejected. */
export type EventOutcome =
  | StoredOutcome
  | { readonly status: "duplicate"; readonly event: TrackedEvent }
  | { readonly status: "rejected"; readonly error: AppError };

/**
 * The events of one request. The events commit in order, in one transaction or in several, and do not fail because
 * of other submissions. If a transaction fails, the events of earlier transactions stay.
 */
export interface Submission {
  readonly organizationId: OrganizationId;
  readonly events: readonly SubmittedEvent[];
  readonly bytes: number;
  /** W3C traceparent, or empty. */
  readonly traceParent: string;
  /**
   * Saves the response in the transaction that stores the last events. A retried transaction calls it again.
   */
  readonly saveResponse: ((trx: Transaction, outcomes: readonly EventOutcome[]) => Promise<void>) | undefined;
  /** Runs in each transaction that stores events of the submission. A retried transaction calls it again. */
  readonly saveSeed: ((trx: Transaction) => Promise<void>) | undefined;
  /**
   * Applies identity claims before the insert if at least one event is new. Receives the planned outcome of
   * each event. A retried transaction calls it again.
   */
  readonly beforeInsert: BeforeInsert | undefined;
}

/** Changes identity links in the transaction of the events. */
export type BeforeInsert = (
  trx: Transaction,
  outcomes: readonly EventOutcome[],
) => Promise<BeforeInsertResult>;

/** The effect of {@link BeforeInsert}. */
export interface BeforeInsertResult {
  /** Messages to publish. */
  readonly drafts: readonly OutboxDraft[];
  /** Errors of new events that must not be stored, by index in the submission. */
  readonly rejected: ReadonlyMap<number, AppError>;
}

/** Creates a submission of the events of one request. */
export function createSubmission(
  organizationId: OrganizationId,
  events: readonly SubmittedEvent[],
  options: {
    readonly traceParent: string;
    readonly saveResponse?: Submission["saveResponse"];
    readonly saveSeed?: Submission["saveSeed"];
    readonly beforeInsert?: BeforeInsert;
  },
): Submission {
  let bytes = 0;
  for (const event of events) bytes += event.bytes;
  const { traceParent, saveResponse, saveSeed, beforeInsert } = options;
  return { organizationId, events, bytes, traceParent, saveResponse, saveSeed, beforeInsert };
}
