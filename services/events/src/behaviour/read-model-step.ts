// Keeps what summaries and points are read from in step with the events: in their own transaction, each new
// event once, for the profile it is recorded for. Merging moves nothing, and a read unites a person's profiles.
import type { IngestStep } from "../ingest/ingest-step.ts";
import { addCounts } from "./event-count-store.ts";
import { addPageViews } from "./page-view-store.ts";
import { PAGE_VIEWED } from "./page-views.ts";

export const readModels: IngestStep = {
  async apply(trx, { newEvents }) {
    await addCounts(trx, newEvents);
    await addPageViews(
      trx,
      newEvents.filter(({ name }) => name === PAGE_VIEWED),
    );
    return [];
  },
};
