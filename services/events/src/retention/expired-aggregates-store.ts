// Every statement that finds page views by hour and history of alerts which are too old, and removes them.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

/** The organisation's first day that has page views. */
export async function firstDayWithViews(
  db: Queryable,
  organizationId: OrganizationId,
): Promise<number | undefined> {
  const row = await db("page_view_hours")
    .where("organization_id", uuidToBytes(organizationId))
    .orderBy(["organization_id", "day", "profile_id", "hour", "part"])
    .first<{ day: number } | undefined>("day");
  return row && Number(row.day);
}

/**
 * The day's first profiles, and all their views of it, of at least `limit` rows if there are so many.
 * Invariant: the parts of an hour go together, for the first of them counts the others.
 */
export async function deleteViewsOfDay(
  trx: Transaction,
  organizationId: OrganizationId,
  day: number,
  limit: number,
): Promise<number> {
  const ofDay = { organization_id: uuidToBytes(organizationId), day };
  const rows = await trx("page_view_hours")
    .select<{ profile_id: Buffer }[]>("profile_id")
    .where(ofDay)
    .orderBy(["organization_id", "day", "profile_id", "hour", "part"])
    .limit(limit);
  const profileIds = [...new Map(rows.map(({ profile_id: id }) => [id.toString("latin1"), id])).values()];
  if (profileIds.length === 0) return 0;
  return trx("page_view_hours").where(ofDay).whereIn("profile_id", profileIds).delete();
}

/** Removes up to `limit` of the organisation's oldest alerts, as far as they were fired before the horizon. */
export async function deleteAlertsBefore(
  trx: Transaction,
  organizationId: OrganizationId,
  horizonMs: number,
  limit: number,
): Promise<number> {
  const organization = { organization_id: uuidToBytes(organizationId) };
  const rows = await trx("alerts")
    .select<{ alert_id: Buffer; fired_ms: number }[]>("alert_id", "fired_ms")
    .where(organization)
    .orderBy(["organization_id", "alert_id"])
    .limit(limit);
  const expired = rows.filter(({ fired_ms }) => Number(fired_ms) < horizonMs);
  if (expired.length === 0) return 0;
  return trx("alerts")
    .where(organization)
    .whereIn(
      "alert_id",
      expired.map(({ alert_id }) => alert_id),
    )
    .delete();
}

const PROFILE_BYTES = 16;

export interface HistoryCell {
  readonly profile_id: Buffer;
  readonly cell: Buffer;
  readonly touched_ms: number;
}

/** Where a cell stands among all of its organisation. */
export function keyOfCell({ profile_id, cell }: HistoryCell): Buffer {
  return Buffer.concat([profile_id, cell]);
}

/** Cells after the given key, in the order of their keys. */
export async function listHistory(
  db: Queryable,
  organizationId: OrganizationId,
  after: Buffer | undefined,
  limit: number,
): Promise<HistoryCell[]> {
  const query = db("alert_history")
    .select<HistoryCell[]>("profile_id", "cell", "touched_ms")
    .where("organization_id", uuidToBytes(organizationId))
    .orderBy(["organization_id", "profile_id", "cell"])
    .limit(limit);
  if (after !== undefined) {
    const [profileId, cell] = [after.subarray(0, PROFILE_BYTES), after.subarray(PROFILE_BYTES)];
    // The first condition is implied by the second, but it alone bounds the range of the key.
    query
      .where("profile_id", ">=", profileId)
      .where((either) => either.where("profile_id", ">", profileId).orWhere("cell", ">", cell));
  }
  return query;
}

/** Removes those of the cells that nothing has touched since the horizon, not even meanwhile. */
export async function deleteHistory(
  trx: Transaction,
  organizationId: OrganizationId,
  cells: readonly HistoryCell[],
  horizonMs: number,
): Promise<number> {
  let deleted = 0;
  const byProfile = Map.groupBy(cells, ({ profile_id }) => profile_id.toString("latin1"));
  for (const [profileId, own] of byProfile) {
    deleted += await trx("alert_history")
      .where({ organization_id: uuidToBytes(organizationId), profile_id: Buffer.from(profileId, "latin1") })
      .whereIn(
        "cell",
        own.map(({ cell }) => cell),
      )
      .andWhere("touched_ms", "<", horizonMs)
      .delete();
  }
  return deleted;
}
