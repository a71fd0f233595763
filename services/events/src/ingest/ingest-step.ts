// Declares the interface of features that write in the transaction of the events: read models, alerts.
import type { Transaction } from "@muster/db";
import type { OutboxDraft } from "@muster/outbox";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";
import type { BatchPlan } from "./plan-batch.ts";

/** The messages and alert codes that a step contributes to a commit. */
export interface StepResult {
  /** Messages to publish. */
  readonly drafts: readonly OutboxDraft[];
  /** Codes of fired alert rules, ascending, by new event. Events without fired rules are omitted. */
  readonly alertCodes?: ReadonlyMap<TrackedEvent, readonly number[]>;
}

/** A feature that writes in the transaction of the events. */
export interface IngestStep {
  /**
   * Runs after the insert of the events and before the responses are saved.
   * Invariants: a retried transaction runs the step again, so the step keeps no state outside of the
   * transaction. The step writes and locks rows in key order. The number of statements does not depend on the
   * number of events, except for chunks of bounded size.
   */
  apply(trx: Transaction, plan: BatchPlan): Promise<StepResult>;
}
