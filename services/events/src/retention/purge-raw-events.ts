// Removes the raw events of one organisation that are too old, day by day along the primary key.
//
// An event is too old once it was received and happened before the horizon. So whatever happened at the horizon
// or later is there, however it came: a window that is no longer than the retention misses nothing.
import type { OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import { dayOf } from "../tracked-events/tracked-event.ts";
import {
  type AgingEvent,
  deleteExpiredEvents,
  listAgingEvents,
  nextDayWithEvents,
} from "./expired-events-store.ts";
import type { Pace } from "./pace.ts";
import type { RetentionMetrics } from "./retention-metrics.ts";
import { raiseCompleteSince, readOldestOfDay, saveOldestOfDay } from "./retention-store.ts";

/** A day that kept late events is visited again when the first of them has been due for so long. */
const REVISIT_MS = 15 * 60_000;

export interface PurgeDeps {
  readonly database: Database;
  readonly metrics: RetentionMetrics;
}

export interface PurgeOptions {
  readonly organizationId: OrganizationId;
  readonly rawEventDays: number;
  readonly horizonMs: number;
  /** The first day to look at; undefined: the organisation's first. */
  readonly fromDay: number | undefined;
  readonly pace: Pace;
  /** Asked between batches: false gives up, because time is up or the lease is lost. */
  mayGoOn(): Promise<boolean>;
}

/** Resolves to the day at which to go on, or to undefined when nothing is left that is too old. */
export async function purgeRawEvents(deps: PurgeDeps, options: PurgeOptions): Promise<number | undefined> {
  const { organizationId, horizonMs, fromDay, mayGoOn } = options;
  const { reader } = deps.database;
  const lastDay = dayOf(horizonMs);
  let before = fromDay === undefined ? undefined : fromDay - 1;
  for (;;) {
    const day = await nextDayWithEvents(reader, organizationId, before);
    if (day === undefined || day > lastDay) return undefined;
    if (!(await mayGoOn())) return day;
    if (await isWorthAVisit(deps, organizationId, day, horizonMs)) {
      const isDone = await purgeDay(deps, options, day);
      if (!isDone) return day;
    }
    before = day;
  }
}

async function isWorthAVisit(
  { database }: PurgeDeps,
  organizationId: OrganizationId,
  day: number,
  horizonMs: number,
): Promise<boolean> {
  const oldestMs = await readOldestOfDay(database.reader, organizationId, day);
  return oldestMs === undefined || oldestMs < horizonMs - REVISIT_MS;
}

/** False when it gave up. */
async function purgeDay(deps: PurgeDeps, options: PurgeOptions, day: number): Promise<boolean> {
  const { organizationId, rawEventDays, horizonMs, pace, mayGoOn } = options;
  const { database, metrics } = deps;
  let isRevoked = false;
  let after: Buffer | undefined;
  let oldestKeptMs: number | undefined;
  for (let isLast = false; !isLast; ) {
    if (isRevoked || !(await mayGoOn())) return false;
    await pace.batch(async () => {
      const limit = pace.rows;
      const range = { day, after, horizonMs };
      const events = await listAgingEvents(database.reader, organizationId, range, limit);
      isLast = events.length < limit;
      after = events.at(-1)?.event_id ?? after;
      const expired = events.filter((event) => agesFrom(event) < horizonMs);
      for (const event of events) {
        const keptMs = agesFrom(event);
        if (keptMs >= horizonMs) oldestKeptMs = Math.min(oldestKeptMs ?? keptMs, keptMs);
      }
      if (expired.length === 0) return;
      metrics.behind(horizonMs - Math.min(...expired.map(agesFrom)));
      const count = await database.transaction(async (trx) => {
        const mayDelete = await raiseCompleteSince(trx, organizationId, { rawEventDays, ms: horizonMs });
        return mayDelete ? deleteExpiredEvents(trx, organizationId, day, expired) : undefined;
      });
      if (count === undefined) isRevoked = true;
      else metrics.purged("tracked_events", count);
    });
  }
  if (isRevoked) return false;
  // Of the horizon's own day only the part before it was walked.
  if (day === dayOf(horizonMs)) return true;
  const known = await readOldestOfDay(database.reader, organizationId, day);
  if (known !== oldestKeptMs) {
    await database.transaction((trx) => saveOldestOfDay(trx, organizationId, day, oldestKeptMs));
  }
  return true;
}

/** Its age counts from its receipt, or from its own instant where that is later. */
function agesFrom({ occurred_ms, received_ms }: AgingEvent): number {
  return Math.max(Number(occurred_ms), Number(received_ms));
}
