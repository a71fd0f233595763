// Every statement that finds raw events which are too old, and removes them.
import { type OrganizationId, uuidToBytes, uuidV7 } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { dayOf } from "../tracked-events/tracked-event.ts";

/** What deciding about an event takes. */
export interface AgingEvent {
  readonly event_id: Buffer;
  readonly client_event_id: Buffer | null;
  readonly occurred_ms: number;
  readonly received_ms: number;
}

const FIRST_ID = Buffer.alloc(16);
const LAST_TAIL = new Uint8Array(10).fill(0xff);

/** The organisation's first day after the given one that has events: one seek in the primary key. */
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
 * The day's events after the given one, in the order of their ids. Of the horizon's own day only those up to
 * it: ids begin with the instant, so what lies behind it is not walked.
 */
export async function listAgingEvents(
  db: Queryable,
  organizationId: OrganizationId,
  range: { readonly day: number; readonly after: Buffer | undefined; readonly horizonMs: number },
  limit: number,
): Promise<AgingEvent[]> {
  const { day, after, horizonMs } = range;
  const query = db("tracked_events")
    .select<AgingEvent[]>("event_id", "client_event_id", "occurred_ms", "received_ms")
    .where({ organization_id: uuidToBytes(organizationId), day })
    .andWhere("event_id", ">", after ?? FIRST_ID)
    .orderBy(["organization_id", "day", "event_id"])
    .limit(limit);
  // Before 1970 ids count down from the end of their range.
  if (day >= 0 && day === dayOf(horizonMs)) {
    query.andWhere("event_id", "<=", uuidToBytes(uuidV7(horizonMs, LAST_TAIL)));
  }
  return query;
}

/** Removes these events of one day, and what told repeats of those without a time of their own. */
export async function deleteExpiredEvents(
  trx: Transaction,
  organizationId: OrganizationId,
  day: number,
  events: readonly AgingEvent[],
): Promise<number> {
  const organization = uuidToBytes(organizationId);
  const ids = events.map(({ event_id }) => event_id);
  const clientIds = events.flatMap(({ client_event_id }) => client_event_id ?? []).sort(Buffer.compare);
  if (clientIds.length > 0) {
    await trx("undated_event_ids")
      .where("organization_id", organization)
      .whereIn("client_event_id", clientIds)
      // A client's id may stand for another, later event by now.
      .whereIn("event_id", ids)
      .delete();
  }
  return trx("tracked_events")
    .where({ organization_id: organization, day })
    .whereIn("event_id", ids)
    .delete();
}
