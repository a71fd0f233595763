// Where this service keeps rows about a profile besides the profile itself and its raw events. A table that is
// missing here fails a test that reads the schema.
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";

export interface ProfileRows {
  readonly table: string;
  /** Names the profile. Invariant: an index begins with the organisation and this. */
  readonly column: string;
  /** A column of the key by which rows are deleted in steps. */
  readonly step: string;
  /** Values of it in one step. */
  readonly stepMax: number;
}

export const PROFILE_ROWS: readonly ProfileRows[] = [
  { table: "event_counts", column: "profile_id", step: "name", stepMax: 500 },
  // Up to some hundred rows a day.
  { table: "page_view_hours", column: "profile_id", step: "day", stepMax: 8 },
  { table: "alert_people", column: "profile_id", step: "profile_id", stepMax: 1 },
  { table: "alert_history", column: "profile_id", step: "cell", stepMax: 200 },
  { table: "alerts", column: "profile_id", step: "alert_id", stepMax: 500 },
  { table: "profile_merges", column: "profile_id", step: "merge_id", stepMax: 500 },
  { table: "profile_merges", column: "into_profile_id", step: "merge_id", stepMax: 500 },
];

/** As receipts name it. */
export function placeOf({ table }: ProfileRows): string {
  return `events.${table}`;
}

/** Deletes one step's rows. */
export async function deleteStep(
  trx: Transaction,
  { table, column, step, stepMax }: ProfileRows,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<{ readonly isLast: boolean; readonly deleted: number }> {
  const ofProfile = { organization_id: uuidToBytes(organizationId), [column]: uuidToBytes(profileId) };
  const rows: Record<string, Buffer | number>[] = await trx(table)
    .distinct(step)
    .where(ofProfile)
    .orderBy(step)
    .limit(stepMax);
  if (rows.length === 0) return { isLast: true, deleted: 0 };
  const values = rows.flatMap((row) => row[step] ?? []);
  const deleted = await trx(table).where(ofProfile).whereIn(step, values).delete();
  return { isLast: rows.length < stepMax, deleted };
}
