// Splits the page views of an hour into records of bounded size. Pure.
import { decodeViews, type ViewHour } from "../behavior/page-views.ts";

/** A page view; `page` is empty when the view has no page name. */
export interface ExportedView {
  readonly occurredMs: number;
  readonly page: string;
}

/** Characters of a record, including overhead; a single page name can be longer. */
const RECORD_CHARACTERS_MAX = 64 * 1024;
const VIEW_CHARACTERS = 64;

/** Returns the views in the order of arrival. An hour without views has no record. */
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
