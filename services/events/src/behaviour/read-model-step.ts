// Keeps what summaries and points are read from in step with the events: in their own transaction, each new
// event once, for the profile it is recorded for. Merging moves nothing, and a read unites a person's profiles.
import type { IdSource } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { IngestStep } from "../ingest/ingest-step.ts";
import type { BatchPlan } from "../ingest/plan-batch.ts";
import { addCounts } from "./event-count-store.ts";
import { addPageViews } from "./page-view-store.ts";
import { PAGE_VIEWED } from "./page-views.ts";

export class ReadModelStep implements IngestStep {
  readonly #ids: IdSource;

  /** `ids` are random. */
  constructor(ids: IdSource) {
    this.#ids = ids;
  }

  async apply(trx: Transaction, { newEvents }: BatchPlan): Promise<readonly []> {
    await addCounts(trx, newEvents);
    const views = newEvents.filter(({ name }) => name === PAGE_VIEWED);
    await addPageViews(trx, views, Number.parseInt(this.#ids.next(0).slice(-4), 16));
    return [];
  }
}
