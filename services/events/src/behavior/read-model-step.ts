// Updates the read models of summaries and points in the transaction of the events. Each new event counts
// once, for the recorded profile. A merge changes no counts, because reads combine the profiles of a person.
import type { IdSource } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { IngestStep, StepResult } from "../ingest/ingest-step.ts";
import type { BatchPlan } from "../ingest/plan-batch.ts";
import { addCounts } from "./event-count-store.ts";
import { addPageViews } from "./page-view-store.ts";
import { PAGE_VIEWED } from "./page-views.ts";

/** The ingest step of the read models. The step publishes no messages. */
export class ReadModelStep implements IngestStep {
  readonly #ids: IdSource;

  /** `ids` are random. */
  constructor(ids: IdSource) {
    this.#ids = ids;
  }

  async apply(trx: Transaction, { newEvents }: BatchPlan): Promise<StepResult> {
    await addCounts(trx, newEvents);
    const views = newEvents.filter(({ name }) => name === PAGE_VIEWED);
    await addPageViews(trx, views, Number.parseInt(this.#ids.next(0).slice(-4), 16));
    return { drafts: [] };
  }
}
