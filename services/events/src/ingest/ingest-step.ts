// Declares the interface of features that write in the transaction of the events: read models, alerts.
import type { Transaction } from "@muster/db";
import type { OutboxDraft } from "@muster/outbox";
import type { BatchPlan } from "./plan-batch.ts";

export interface IngestStep {
  /**
   * Runs after the insert of the events and before the responses are saved. Returns the messages to publish.
   * Invariants: a retried transaction runs the step again, so the step keeps no state outside of the
   * transaction. The step writes and locks rows in key order. The number of statements does not depend on the
   * number of events, except for chunks of bounded size.
   */
  apply(trx: Transaction, plan: BatchPlan): Promise<readonly OutboxDraft[]>;
}
