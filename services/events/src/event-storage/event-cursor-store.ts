// Reads the sort keys of events of several profiles, and the events of given sort keys.
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { EVENT_COLUMNS, type EventRow } from "./event-store.ts";
import { keyConditions } from "./key-groups.ts";
import { dayOf } from "./tracked-event.ts";

/** The position of an event in the time order of a person's events. */
export interface EventCursor {
  readonly occurredMs: number;
  readonly eventId: Buffer;
}

/** The time order of events. */
export type Order = "asc" | "desc";

/** Selects events of an organization by name and time. */
export interface CursorFilter {
  readonly organizationId: OrganizationId;
  readonly order: Order;
  /** Event names; empty means all names. */
  readonly names: readonly Buffer[];
  /** Inclusive bounds. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

/** A profile and the position after which its events are read; undefined: from the first. */
export interface ProfileCursor {
  readonly profileId: ProfileId;
  /** Exclusive. */
  readonly after: EventCursor | undefined;
}

/** Returns the first sort keys of each profile, in order. Each profile costs one index range scan. */
export async function listEventCursors(
  db: Queryable,
  filter: CursorFilter,
  profiles: readonly ProfileCursor[],
  limitOfEach: number,
): Promise<Map<ProfileId, EventCursor[]>> {
  const queries = profiles.map(({ profileId, after }, index) =>
    cursorQuery(db, filter, { profileId, after }, limitOfEach).select(db.raw("? as source", [index])),
  );
  const [first, ...others] = queries.map((query, index) => db.select("*").from(query.as(`walk_${index}`)));
  const found = new Map<ProfileId, EventCursor[]>(profiles.map(({ profileId }) => [profileId, []]));
  if (first === undefined) return found;
  const rows: { source: number; occurred_ms: number; event_id: Buffer }[] = await first.unionAll(others);
  for (const { source, occurred_ms, event_id } of rows) {
    const profile = profiles[Number(source)];
    if (profile === undefined) continue;
    found.get(profile.profileId)?.push({ occurredMs: Number(occurred_ms), eventId: event_id });
  }
  // SQL does not guarantee the order of rows in a union.
  for (const cursors of found.values()) cursors.sort(compareEventCursors(filter.order));
  return found;
}

function cursorQuery(
  db: Queryable,
  filter: CursorFilter,
  { profileId, after }: ProfileCursor,
  limit: number,
) {
  const { order, names, fromMs, toMs } = filter;
  const query = db("tracked_events")
    .select("occurred_ms", "event_id")
    .where("organization_id", uuidToBytes(filter.organizationId))
    .where("profile_id", uuidToBytes(profileId))
    .orderBy([
      { column: "occurred_ms", order },
      { column: "event_id", order },
    ])
    .limit(limit);
  if (fromMs !== undefined) query.where("occurred_ms", ">=", fromMs);
  if (toMs !== undefined) query.where("occurred_ms", "<=", toMs);
  if (names.length > 0) query.whereIn("name", [...names]);
  if (after !== undefined) {
    const beyond = order === "asc" ? ">" : "<";
    // The second condition implies the first, but only the first bounds the index range.
    query
      .where("occurred_ms", `${beyond}=`, after.occurredMs)
      .where((either) =>
        either.where("occurred_ms", beyond, after.occurredMs).orWhere("event_id", beyond, after.eventId),
      );
  }
  return query;
}

/** Returns the events of the given sort keys, in the given order. Deleted events are omitted. */
export async function getEventsAt(
  db: Queryable,
  organizationId: OrganizationId,
  cursors: readonly EventCursor[],
): Promise<EventRow[]> {
  const days = Map.groupBy(cursors, ({ occurredMs }) => dayOf(occurredMs));
  const groups = Array.from(days, ([day, ofDay]) => ({
    fixed: [uuidToBytes(organizationId), day],
    values: ofDay.map(({ eventId }) => eventId),
  }));
  const rows = new Map<string, EventRow>();
  for (const [condition, bindings] of keyConditions(["organization_id", "day", "event_id"], groups)) {
    const found = await db("tracked_events").select<EventRow[]>(EVENT_COLUMNS).whereRaw(condition, bindings);
    for (const row of found) rows.set(row.event_id.toString("latin1"), row);
  }
  return cursors.flatMap(({ eventId }) => rows.get(eventId.toString("latin1")) ?? []);
}

/** Returns a comparator for sort keys in the given order. */
export function compareEventCursors(order: Order) {
  const sign = order === "asc" ? 1 : -1;
  return (a: EventCursor, b: EventCursor): number =>
    sign * (a.occurredMs - b.occurredMs || Buffer.compare(a.eventId, b.eventId));
}
