// Deletes the expired raw events of an organization, day by day along the primary key.
//
// An event expires when both the receipt and the instant are before the horizon. All events that happened at
// the horizon or later are therefore stored, however late they arrived. A window that is no longer than the
// retention misses no event.
import type { OrganizationId } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import {
  deleteEventsOfDay,
  deleteUndatedIds,
  type EventAge,
  listAgingEvents,
  nextDayWithEvents,
} from "../event-storage/event-deletion-store.ts";
import { dayOf } from "../event-storage/tracked-event.ts";
import type { PurgeThrottle } from "./purge-throttle.ts";
import type { RetentionMetrics } from "./retention-metrics.ts";
import { raiseCompleteSince, readOldestOfDay, saveOldestOfDay } from "./retention-store.ts";

/** A day with remaining late events is visited again when the first of them expired this long ago. */
const REVISIT_MS = 15 * 60_000;

/** The database and the metrics of a purge. */
export interface PurgeDeps {
  readonly database: Database;
  readonly metrics: RetentionMetrics;
}

/** The range and the limits of one turn. */
export interface PurgeOptions {
  readonly organizationId: OrganizationId;
  readonly rawEventDays: number;
  readonly horizonMs: number;
  /** The first day of the purge; undefined starts at the first day of the organization. */
  readonly fromDay: number | undefined;
  readonly throttle: PurgeThrottle;
  /** Called between batches. False stops the purge, because the time is over or the lease is lost. */
  shouldContinue(): Promise<boolean>;
}

/** Returns the day to resume from, or undefined when no expired event is left. */
export async function purgeRawEvents(deps: PurgeDeps, options: PurgeOptions): Promise<number | undefined> {
  const { organizationId, horizonMs, fromDay, shouldContinue } = options;
  const { reader } = deps.database;
  const lastDay = dayOf(horizonMs);
  let before = fromDay === undefined ? undefined : fromDay - 1;
  for (;;) {
    const day = await nextDayWithEvents(reader, organizationId, before);
    if (day === undefined || day > lastDay) return undefined;
    if (!(await shouldContinue())) return day;
    if (await isDueForVisit(deps, organizationId, day, horizonMs)) {
      const isDone = await purgeDay(deps, options, day);
      if (!isDone) return day;
    }
    before = day;
  }
}

async function isDueForVisit(
  { database }: PurgeDeps,
  organizationId: OrganizationId,
  day: number,
  horizonMs: number,
): Promise<boolean> {
  const oldestMs = await readOldestOfDay(database.reader, organizationId, day);
  return oldestMs === undefined || oldestMs < horizonMs - REVISIT_MS;
}

/** Returns false when the purge stopped. */
async function purgeDay(deps: PurgeDeps, options: PurgeOptions, day: number): Promise<boolean> {
  const { organizationId, rawEventDays, horizonMs, throttle, shouldContinue } = options;
  const { database, metrics } = deps;
  let isRevoked = false;
  let after: Buffer | undefined;
  let oldestKeptMs: number | undefined;
  for (let isLast = false; !isLast; ) {
    if (isRevoked || !(await shouldContinue())) return false;
    await throttle.batch(async () => {
      const limit = throttle.rows;
      const range = { day, after, horizonMs };
      const events = await listAgingEvents(database.reader, organizationId, range, limit);
      isLast = events.length < limit;
      after = events.at(-1)?.event_id ?? after;
      const expired = events.filter((event) => ageStartMs(event) < horizonMs);
      for (const event of events) {
        const keptMs = ageStartMs(event);
        if (keptMs >= horizonMs) oldestKeptMs = Math.min(oldestKeptMs ?? keptMs, keptMs);
      }
      if (expired.length === 0) return;
      metrics.behind(horizonMs - Math.min(...expired.map(ageStartMs)));
      const count = await database.transaction(async (trx) => {
        const mayDelete = await raiseCompleteSince(trx, organizationId, { rawEventDays, ms: horizonMs });
        return mayDelete ? deleteExpired(trx, organizationId, day, expired) : undefined;
      });
      if (count === undefined) isRevoked = true;
      else metrics.purged("tracked_events", count);
    });
  }
  if (isRevoked) return false;
  // On the day of the horizon, only the part before the horizon was read.
  if (day === dayOf(horizonMs)) return true;
  const previousMs = await readOldestOfDay(database.reader, organizationId, day);
  if (previousMs !== oldestKeptMs) {
    await database.transaction((trx) => saveOldestOfDay(trx, organizationId, day, oldestKeptMs));
  }
  return true;
}

/** The age of an event counts from the receipt, or from the instant if that is later. */
function ageStartMs({ occurred_ms, received_ms }: EventAge): number {
  return Math.max(Number(occurred_ms), Number(received_ms));
}

async function deleteExpired(
  trx: Transaction,
  organizationId: OrganizationId,
  day: number,
  events: readonly EventAge[],
): Promise<number> {
  const ids = events.map(({ event_id }) => event_id);
  const clientIds = events.flatMap(({ client_event_id }) => client_event_id ?? []);
  await deleteUndatedIds(trx, organizationId, clientIds, ids);
  return deleteEventsOfDay(trx, organizationId, day, ids);
}
