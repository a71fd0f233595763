// Holds the statements that write `tracked_events` and `undated_event_ids`, and the lists of one profile.
import {
  bytesToUuid,
  type OrganizationId,
  type ProfileId,
  type TrackedEventId,
  uuidToBytes,
} from "@muster/core";
import { insertRows, type Queryable, type Transaction, type Value } from "@muster/db";
import { dayOf, type TrackedEvent } from "./tracked-event.ts";
import { UuidBytesCache } from "./uuid-bytes-cache.ts";

/** The columns of an {@link EventRow}, and the day. */
export const EVENT_COLUMNS = [
  "organization_id",
  "day",
  "event_id",
  "profile_id",
  "name",
  "occurred_ms",
  "received_ms",
  "client_event_id",
  "properties",
] as const;

/** A row of `tracked_events`. */
export interface EventRow {
  readonly organization_id: Buffer;
  readonly event_id: Buffer;
  readonly profile_id: Buffer;
  readonly name: Buffer;
  readonly occurred_ms: number;
  readonly received_ms: number;
  readonly client_event_id: Buffer | null;
  readonly properties: string;
}

/** Inserts new events in key order. An event that is already stored rejects with the unique violation. */
export async function insertEvents(trx: Transaction, events: readonly TrackedEvent[]): Promise<void> {
  if (events.length === 0) return;
  const bytes = new UuidBytesCache();
  const rows = [...events]
    .sort(compareKeys)
    .map((event): Value[] => [
      bytes.uuid(event.organizationId),
      dayOf(event.occurredMs),
      uuidToBytes(event.id),
      bytes.uuid(event.profileId),
      bytes.text(event.name),
      event.occurredMs,
      event.receivedMs,
      event.clientEventId === undefined ? null : Buffer.from(event.clientEventId),
      event.properties,
    ]);
  await insertRows(trx, "tracked_events", EVENT_COLUMNS, rows, "fail", [
    "organization_id",
    "day",
    "event_id",
  ]);
}

/** Inserts the client ids of events without a client time. A stored id rejects with the unique violation. */
export async function insertUndatedIds(trx: Transaction, events: readonly TrackedEvent[]): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event): [Buffer, Buffer, Buffer, number] => [
    uuidToBytes(event.organizationId),
    Buffer.from(event.clientEventId ?? ""),
    uuidToBytes(event.id),
    dayOf(event.occurredMs),
  ]);
  rows.sort((a, b) => Buffer.compare(a[0], b[0]) || Buffer.compare(a[1], b[1]));
  const columns = ["organization_id", "client_event_id", "event_id", "day"];
  await insertRows(trx, "undated_event_ids", columns, rows, "fail", ["organization_id", "client_event_id"]);
}

/** Selects events of one profile by name and time. */
export interface EventListFilter {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  /** Empty means all names. */
  readonly names: readonly string[];
  /** Inclusive bounds. */
  readonly fromMs: number | undefined;
  readonly toMs: number | undefined;
  /** The last event of the previous page. */
  readonly after: { readonly occurredMs: number; readonly id: TrackedEventId } | undefined;
}

/** Lists events newest first, ties by descending id: one backward scan of the profile's index. */
export async function listEvents(
  db: Queryable,
  filter: EventListFilter,
  limit: number,
): Promise<TrackedEvent[]> {
  const query = db("tracked_events")
    .select<EventRow[]>(EVENT_COLUMNS)
    .where("organization_id", uuidToBytes(filter.organizationId))
    .where("profile_id", uuidToBytes(filter.profileId))
    .orderBy([
      { column: "occurred_ms", order: "desc" },
      { column: "event_id", order: "desc" },
    ])
    .limit(limit);
  if (filter.fromMs !== undefined) query.where("occurred_ms", ">=", filter.fromMs);
  if (filter.toMs !== undefined) query.where("occurred_ms", "<=", filter.toMs);
  if (filter.names.length > 0)
    query.whereIn(
      "name",
      filter.names.map((name) => Buffer.from(name)),
    );
  const { after } = filter;
  if (after !== undefined) {
    // The second condition implies the first, but only the first bounds the index range.
    query
      .where("occurred_ms", "<=", after.occurredMs)
      .where((either) =>
        either.where("occurred_ms", "<", after.occurredMs).orWhere("event_id", "<", uuidToBytes(after.id)),
      );
  }
  return (await query).map((row) => eventFromRow(row, filter.profileId));
}

/** The last event of the previous page of a scan. */
export interface ScanCursor {
  readonly profileId: Buffer;
  readonly occurredMs: number;
  readonly eventId: Buffer;
}

/** Lists events by (profile, occurred_ms, id): of several profiles, or of one profile after a cursor. */
export async function scanEvents(
  db: Queryable,
  organizationId: OrganizationId,
  range: { readonly profileIds: readonly Buffer[] } | { readonly after: ScanCursor },
  names: readonly Buffer[],
  limit: number,
): Promise<EventRow[]> {
  const query = db("tracked_events")
    .select<EventRow[]>(EVENT_COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .orderBy(["profile_id", "occurred_ms", "event_id"])
    .limit(limit);
  if (names.length > 0) query.whereIn("name", [...names]);
  if ("after" in range) {
    const { profileId, occurredMs, eventId } = range.after;
    query
      .where("profile_id", profileId)
      .where("occurred_ms", ">=", occurredMs)
      .where((either) => either.where("occurred_ms", ">", occurredMs).orWhere("event_id", ">", eventId));
  } else {
    query.whereIn("profile_id", [...range.profileIds]);
  }
  return query;
}

/** Counts the events of profiles, at most up to `limit`, by the index alone. */
export async function countEvents(
  db: Queryable,
  organizationId: OrganizationId,
  profileIds: readonly Buffer[],
  limit: number,
): Promise<number> {
  const found = db("tracked_events")
    .select("event_id")
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("profile_id", [...profileIds])
    .limit(limit);
  const [row] = await db.from(found.as("found")).count<{ count: number }[]>({ count: "*" });
  return Number(row?.count ?? 0);
}

/** Converts a row to an event with the given root profile. */
export function eventFromRow(row: EventRow, rootId: ProfileId): TrackedEvent {
  return {
    organizationId: bytesToUuid<OrganizationId>(row.organization_id),
    id: bytesToUuid<TrackedEventId>(row.event_id),
    profileId: bytesToUuid<ProfileId>(row.profile_id),
    rootId,
    name: row.name.toString(),
    occurredMs: Number(row.occurred_ms),
    receivedMs: Number(row.received_ms),
    clientEventId: row.client_event_id?.toString(),
    properties: row.properties,
  };
}

function compareKeys(a: TrackedEvent, b: TrackedEvent): number {
  if (a.organizationId !== b.organizationId) return a.organizationId < b.organizationId ? -1 : 1;
  return dayOf(a.occurredMs) - dayOf(b.occurredMs) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
