// Finds and deletes raw events: expired events by day, and the events of an erased profile.
import { type OrganizationId, type ProfileId, uuidToBytes, uuidV7 } from "@muster/core";
import { forUpdate, type Queryable, type Transaction } from "@muster/db";
import { dayOf } from "./tracked-event.ts";

/** The columns that decide whether an event has expired. */
export interface EventAge {
  readonly event_id: Buffer;
  readonly client_event_id: Buffer | null;
  readonly occurred_ms: number;
  readonly received_ms: number;
}

const FIRST_ID = Buffer.alloc(16);
const LAST_TAIL = new Uint8Array(10).fill(0xff);

/** Returns the first day with events after the given day: a single seek in the primary key. */
export async function nextDayWithEvents(
  db: Queryable,
  organizationId: OrganizationId,
  afterDay: number | undefined,
): Promise<number | undefined> {
  const query = db("tracked_events")
    .where("organization_id", uuidToBytes(organizationId))
    .orderBy(["organization_id", "day", "event_id"])
    .first<{ day: number } | undefined>("day");
  if (afterDay !== undefined) query.andWhere("day", ">", afterDay);
  return (await query)?.day;
}

/**
 * Lists the events of a day after the given id, in id order. On the day of the horizon, the walk ends at the
 * horizon, because ids begin with the instant.
 */
export async function listAgingEvents(
  db: Queryable,
  organizationId: OrganizationId,
  range: { readonly day: number; readonly after: Buffer | undefined; readonly horizonMs: number },
  limit: number,
): Promise<EventAge[]> {
  const { day, after, horizonMs } = range;
  const query = db("tracked_events")
    .select<EventAge[]>("event_id", "client_event_id", "occurred_ms", "received_ms")
    .where({ organization_id: uuidToBytes(organizationId), day })
    .andWhere("event_id", ">", after ?? FIRST_ID)
    .orderBy(["organization_id", "day", "event_id"])
    .limit(limit);
  // Before 1970, ids count down from the end of the range.
  if (day >= 0 && day === dayOf(horizonMs)) {
    query.andWhere("event_id", "<=", uuidToBytes(uuidV7(horizonMs, LAST_TAIL)));
  }
  return query;
}

/** The columns of an event that an erasure needs. */
export interface ProfileEventKey {
  readonly day: number;
  readonly event_id: Buffer;
  readonly client_event_id: Buffer | null;
  readonly occurred_ms: number;
}

/** Locks up to `limit` events of a profile until the transaction ends, by instant and id. */
export async function lockEventsOfProfile(
  trx: Transaction,
  organizationId: OrganizationId,
  profileId: ProfileId,
  limit: number,
): Promise<ProfileEventKey[]> {
  const query = trx("tracked_events")
    .select<ProfileEventKey[]>("day", "event_id", "client_event_id", "occurred_ms")
    .where({ organization_id: uuidToBytes(organizationId), profile_id: uuidToBytes(profileId) })
    .orderBy(["occurred_ms", "event_id"])
    .limit(limit);
  return forUpdate(trx, query);
}

/** Deletes events of one day. */
export async function deleteEventsOfDay(
  trx: Transaction,
  organizationId: OrganizationId,
  day: number,
  eventIds: readonly Buffer[],
): Promise<number> {
  return trx("tracked_events")
    .where({ organization_id: uuidToBytes(organizationId), day })
    .whereIn("event_id", eventIds)
    .delete();
}

/** Deletes the client ids that detect repeats of events without a client time. */
export async function deleteUndatedIds(
  trx: Transaction,
  organizationId: OrganizationId,
  clientEventIds: readonly Buffer[],
  eventIds: readonly Buffer[],
): Promise<number> {
  if (clientEventIds.length === 0) return 0;
  return (
    trx("undated_event_ids")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("client_event_id", [...clientEventIds].sort(Buffer.compare))
      // The client id can belong to another, later event.
      .whereIn("event_id", eventIds)
      .delete()
  );
}
