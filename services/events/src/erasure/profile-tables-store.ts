// Lists the tables with rows about a profile, besides the profile and the raw events, and deletes the rows. A
// test compares the list with the schema.
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";

/** A table with rows about profiles. */
export interface ProfileTable {
  readonly table: string;
  /** The column with the profile id. Invariant: an index begins with the organization and this column. */
  readonly column: string;
  /** A key column; rows are deleted in steps along this column. */
  readonly step: string;
  /** Values of the step column in one step. */
  readonly stepMax: number;
}

/** The tables in the order of deletion. A table with two profile columns has two entries. */
export const PROFILE_TABLES: readonly ProfileTable[] = [
  { table: "event_counts", column: "profile_id", step: "name", stepMax: 500 },
  // Up to a few hundred rows a day.
  { table: "page_view_hours", column: "profile_id", step: "day", stepMax: 8 },
  { table: "alert_profiles", column: "profile_id", step: "profile_id", stepMax: 1 },
  { table: "alert_history", column: "profile_id", step: "cell", stepMax: 200 },
  { table: "alerts", column: "profile_id", step: "alert_id", stepMax: 500 },
  { table: "profile_merges", column: "profile_id", step: "merge_id", stepMax: 500 },
  { table: "profile_merges", column: "into_profile_id", step: "merge_id", stepMax: 500 },
];

/** The name of the location in receipts. */
export function locationOf({ table }: ProfileTable): string {
  return `events.${table}`;
}

/** Deletes the rows of one step. */
export async function deleteStep(
  trx: Transaction,
  { table, column, step, stepMax }: ProfileTable,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<{ readonly isLast: boolean; readonly deleted: number }> {
  const profileFilter = { organization_id: uuidToBytes(organizationId), [column]: uuidToBytes(profileId) };
  const rows: Record<string, Buffer | number>[] = await trx(table)
    .distinct(step)
    .where(profileFilter)
    .orderBy(step)
    .limit(stepMax);
  if (rows.length === 0) return { isLast: true, deleted: 0 };
  const values = rows.flatMap((row) => row[step] ?? []);
  const deleted = await trx(table).where(profileFilter).whereIn(step, values).delete();
  return { isLast: rows.length < stepMax, deleted };
}
