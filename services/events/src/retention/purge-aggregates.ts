// Deletes expired page views, alerts and alert history of an organization.
import type { OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { deleteHistory, keyOfCell, listHistory } from "../alert-history/history-store.ts";
import { deleteAlertsBefore } from "../alerts/alert-store.ts";
import { deleteViewsOfDay, firstDayWithViews } from "../behavior/page-view-store.ts";
import { dayOf } from "../event-storage/tracked-event.ts";
import type { PurgeDeps } from "./purge-raw-events.ts";
import type { PurgeThrottle } from "./purge-throttle.ts";
import type { HistoryWalk } from "./retention-store.ts";

/** The horizon and the limits of one turn, in epoch milliseconds. */
export interface PurgeAggregatesOptions {
  readonly organizationId: OrganizationId;
  readonly horizonMs: number;
  readonly nowMs: number;
  readonly history: HistoryWalk;
  readonly throttle: PurgeThrottle;
  shouldContinue(): Promise<boolean>;
}

/** The result of one turn, with the position of the history walk. */
export interface PurgedAggregates {
  /** False when the purge stopped before the end. */
  readonly isDone: boolean;
  readonly history: HistoryWalk;
}

/** Only a walk over the whole history finds expired cells. */
const HISTORY_EVERY_MS = 6 * 3_600_000;
/** A batch deletes by profile, with a statement for each profile. */
const HISTORY_ROWS_MAX = 100;

/** Deletes views and alerts first, then continues the walk over the alert history if due. */
export async function purgeAggregates(
  deps: PurgeDeps,
  options: PurgeAggregatesOptions,
): Promise<PurgedAggregates> {
  const isDone = (await purgeViews(deps, options)) && (await purgeAlerts(deps, options));
  if (!isDone || options.history.dueMs > options.nowMs) return { isDone, history: options.history };
  const history = await walkHistory(deps, options);
  return { isDone: history.after === undefined, history };
}

/** Deletes day by day. The day of the horizon is deleted after the day has ended. */
async function purgeViews(deps: PurgeDeps, options: PurgeAggregatesOptions): Promise<boolean> {
  const { organizationId, horizonMs, throttle } = options;
  for (;;) {
    const day = await firstDayWithViews(deps.database.reader, organizationId);
    if (day === undefined || day >= dayOf(horizonMs)) return true;
    const isGone = await deleteRepeatedly(deps, options, "page_view_hours", (trx) =>
      deleteViewsOfDay(trx, organizationId, day, throttle.rows),
    );
    if (!isGone) return false;
  }
}

async function purgeAlerts(deps: PurgeDeps, options: PurgeAggregatesOptions): Promise<boolean> {
  const { organizationId, horizonMs, throttle } = options;
  return deleteRepeatedly(deps, options, "alerts", (trx) =>
    deleteAlertsBefore(trx, organizationId, horizonMs, throttle.rows),
  );
}

/** Deletes until no row is left. Returns false when the purge stopped before. */
async function deleteRepeatedly(
  { database, metrics }: PurgeDeps,
  { throttle, shouldContinue }: PurgeAggregatesOptions,
  table: string,
  remove: (trx: Transaction) => Promise<number>,
): Promise<boolean> {
  for (;;) {
    if (!(await shouldContinue())) return false;
    const count = await throttle.batch(() => database.transaction(remove));
    if (count === 0) return true;
    metrics.purged(table, count);
  }
}

async function walkHistory(
  { database, metrics }: PurgeDeps,
  options: PurgeAggregatesOptions,
): Promise<HistoryWalk> {
  const { organizationId, horizonMs, nowMs, throttle, shouldContinue } = options;
  let { after } = options.history;
  for (;;) {
    if (!(await shouldContinue())) return { dueMs: nowMs, after };
    const isLast = await throttle.batch(async () => {
      const limit = Math.min(throttle.rows, HISTORY_ROWS_MAX);
      const cells = await listHistory(database.reader, organizationId, after, limit);
      const last = cells.at(-1);
      after = last === undefined ? after : keyOfCell(last);
      const expired = cells.filter(({ last_received_ms }) => Number(last_received_ms) < horizonMs);
      if (expired.length > 0) {
        const remove = (trx: Transaction) => deleteHistory(trx, organizationId, expired, horizonMs);
        metrics.purged("alert_history", await database.transaction(remove));
      }
      return cells.length < limit;
    });
    if (isLast) return { dueMs: nowMs + HISTORY_EVERY_MS, after: undefined };
  }
}
