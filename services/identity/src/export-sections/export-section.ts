// Declares a section of an export. A section reads rows of one person in one organization only.
import type { OrganizationId, UserId } from "@muster/core";
import type { Database } from "@muster/db";

/** The person, as a member of the organization. */
export interface ExportSubject {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
}

/** A file of the ZIP: a JSON array of records. */
export interface ExportSection {
  readonly fileName: string;
  /** Grows when a field of the records changes its meaning. */
  readonly schemaVersion: number;
  /** The records, each as JSON. */
  records(database: Database, subject: ExportSubject): AsyncIterable<string>;
}

const PAGE_ROWS = 500;

/** The rows of a walk, which `read` returns in pages: the rows after a row, in the order of an index. */
export async function* rowsOf<T>(
  read: (after: T | undefined, limit: number) => Promise<readonly T[]>,
): AsyncIterable<T> {
  let after: T | undefined;
  do {
    const page = await read(after, PAGE_ROWS);
    yield* page;
    after = page.length < PAGE_ROWS ? undefined : page.at(-1);
  } while (after !== undefined);
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

export function timeTextOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : timeText(ms);
}
