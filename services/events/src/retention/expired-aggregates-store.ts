// Finds and deletes expired hourly page views, alerts and alert history.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

/** Returns the first day of the organization with page views. */
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
 * Deletes all page views of the first profiles of a day: at least `limit` rows if the day has as many.
 * Invariant: the parts of an hour are deleted together, because the first part counts the others.
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

/** Deletes up to `limit` of the oldest alerts that fired before the horizon. */
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

/** The key of a history cell, and the time of receipt of the last event in the cell. */
export interface HistoryCell {
  readonly profile_id: Buffer;
  readonly cell: Buffer;
  readonly last_received_ms: number;
}

/** Returns the position of a cell among the cells of the organization. */
export function keyOfCell({ profile_id, cell }: HistoryCell): Buffer {
  return Buffer.concat([profile_id, cell]);
}

/** Lists cells after the given key, in key order. */
export async function listHistory(
  db: Queryable,
  organizationId: OrganizationId,
  after: Buffer | undefined,
  limit: number,
): Promise<HistoryCell[]> {
  const query = db("alert_history")
    .select<HistoryCell[]>("profile_id", "cell", "last_received_ms")
    .where("organization_id", uuidToBytes(organizationId))
    .orderBy(["organization_id", "profile_id", "cell"])
    .limit(limit);
  if (after !== undefined) {
    const [profileId, cell] = [after.subarray(0, PROFILE_BYTES), after.subarray(PROFILE_BYTES)];
    // The second condition implies the first, but only the first bounds the key range.
    query
      .where("profile_id", ">=", profileId)
      .where((either) => either.where("profile_id", ">", profileId).orWhere("cell", ">", cell));
  }
  return query;
}

/** Deletes the cells that received no event since the horizon. A concurrent change prevents the deletion. */
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
      .andWhere("last_received_ms", "<", horizonMs)
      .delete();
  }
  return deleted;
}
