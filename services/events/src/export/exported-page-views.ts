// Cuts the page views of an hour, of which one row may hold very many, to records of bounded size. Pure.
import { decodeViews, type ViewHour } from "../behaviour/page-views.ts";

export interface ExportedView {
  readonly occurredMs: number;
  readonly page: string;
}

/** Of the pages' names and what stands around each; a single name may be longer. */
const RECORD_CHARACTERS_MAX = 64 * 1024;
const VIEW_CHARACTERS = 64;

/** The views in the order in which they came; none makes no record. */
export function viewRecordsOf(hour: ViewHour, views: Buffer): ExportedView[][] {
  const records: ExportedView[][] = [];
  let characters = Number.POSITIVE_INFINITY;
  decodeViews(hour, views, (occurredMs, page) => {
    characters += page.length + VIEW_CHARACTERS;
    if (characters > RECORD_CHARACTERS_MAX) {
      records.push([]);
      characters = page.length + VIEW_CHARACTERS;
    }
    records.at(-1)?.push({ occurredMs, page });
  });
  return records;
}
