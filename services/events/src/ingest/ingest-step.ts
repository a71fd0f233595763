// What else a commit of events brings about in the same transaction: read models, alerts.
import type { Transaction } from "@muster/db";
import type { OutboxDraft } from "@muster/outbox";
import type { BatchPlan } from "./plan-batch.ts";

export interface IngestStep {
  /**
   * After the events' rows are written and before any answer is kept. Returns what to announce.
   * Invariants: it runs again when the transaction does, so it keeps nothing outside of it; it writes and locks
   * its rows in the order of their keys; its statements do not grow with the events, only with their batches.
   */
  apply(trx: Transaction, plan: BatchPlan): Promise<readonly OutboxDraft[]>;
}
