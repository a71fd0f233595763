// Stores fired alerts: every statement against `alerts`.
import {
  bytesToUuid,
  chunksOf,
  type OrganizationId,
  type ProfileId,
  type TrackedEventId,
  uuidToBytes,
} from "@muster/core";
import { insertRows, type Queryable, type Transaction, type Value } from "@muster/db";
import type { UuidBytesCache } from "../event-storage/uuid-bytes-cache.ts";
import type { Alert, FiredAlert } from "./alert.ts";

const ALERT_COLUMNS = [
  "organization_id",
  "alert_id",
  "rule_id",
  "code",
  "profile_id",
  "event_id",
  "event_name",
  "occurred_ms",
  "fired_ms",
];

interface AlertRow {
  readonly organization_id: Buffer;
  readonly alert_id: Buffer;
  readonly rule_id: Buffer;
  readonly code: number;
  readonly profile_id: Buffer;
  readonly event_id: Buffer;
  readonly event_name: Buffer;
  readonly occurred_ms: number;
  readonly fired_ms: number;
}

/** Inserts alerts, which are in key order, so that concurrent transactions lock index pages in the same order. */
export async function insertAlerts(
  trx: Transaction,
  alerts: readonly FiredAlert[],
  bytes: UuidBytesCache,
): Promise<void> {
  const rows = alerts.map(({ id, event, ruleId, code, firedMs }): Value[] => [
    bytes.uuid(event.organizationId),
    uuidToBytes(id),
    bytes.uuid(ruleId),
    code,
    bytes.uuid(event.profileId),
    bytes.uuid(event.id),
    bytes.text(event.name),
    event.occurredMs,
    firedMs,
  ]);
  await insertRows(trx, "alerts", ALERT_COLUMNS, rows, "fail", ["organization_id", "alert_id"]);
}

/** The alerts that a list contains. */
export interface AlertFilter {
  readonly organizationId: OrganizationId;
  /** All profiles of one person; undefined selects the alerts of all profiles. */
  readonly profileIds: readonly ProfileId[] | undefined;
  readonly code: number | undefined;
  /** The id of the last alert on the previous page. */
  readonly after: string | undefined;
}

/**
 * Lists alerts, newest first: a single backward walk over an index, or a walk for each profile of a person.
 */
const WALKS_MAX = 100;

/** Lists alerts, newest first: one backward walk over an index, or one walk for each profile of a person. */
export async function listAlerts(db: Queryable, filter: AlertFilter, limit: number): Promise<Alert[]> {
  const { profileIds } = filter;
  if (profileIds === undefined || profileIds.length === 1) {
    return (await selectAlerts(db, filter, profileIds?.[0], limit)).map(fromRow);
  }
  const found: AlertRow[] = [];
  for (const ids of chunksOf(profileIds, WALKS_MAX)) {
    const walks = ids.map((id) =>
      db.select<AlertRow[]>("*").from(selectAlerts(db, filter, id, limit).as("walk")),
    );
    const [first, ...others] = walks;
    if (first !== undefined) for (const row of (await first.unionAll(others)) as AlertRow[]) found.push(row);
  }
  found.sort((a, b) => Buffer.compare(b.alert_id, a.alert_id));
  return found.slice(0, limit).map(fromRow);
}

function selectAlerts(db: Queryable, filter: AlertFilter, profileId: ProfileId | undefined, limit: number) {
  const query = db("alerts")
    .select<AlertRow[]>(ALERT_COLUMNS)
    .where("organization_id", uuidToBytes(filter.organizationId))
    .orderBy("alert_id", "desc")
    .limit(limit);
  if (profileId !== undefined) query.where("profile_id", uuidToBytes(profileId));
  if (filter.code !== undefined) query.where("code", filter.code);
  if (filter.after !== undefined) query.where("alert_id", "<", uuidToBytes(filter.after));
  return query;
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

function fromRow(row: AlertRow): Alert {
  return {
    organizationId: bytesToUuid<OrganizationId>(row.organization_id),
    id: bytesToUuid(row.alert_id),
    ruleId: bytesToUuid(row.rule_id),
    code: Number(row.code),
    profileId: bytesToUuid<ProfileId>(row.profile_id),
    eventId: bytesToUuid<TrackedEventId>(row.event_id),
    eventName: row.event_name.toString(),
    occurredMs: Number(row.occurred_ms),
    firedMs: Number(row.fired_ms),
  };
}
