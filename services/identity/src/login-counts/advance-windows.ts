// Advances the windows of login counts to the current date, in bounded steps, and deletes logins after 90 days.
import type { Database, Transaction } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import { byKey, totalsOf } from "./count-logins.ts";
import { deleteDailyCountsBefore } from "./login-daily-store.ts";
import { deleteLoginsBefore, listLeavingLogins } from "./login-event-store.ts";
import { subtractLogins } from "./login-totals-store.ts";
import { type Day, endOfExpired, isAfter } from "./login-window.ts";
import { readShardWindows, type ShardWindow, saveShardWindows } from "./login-window-store.ts";
import { KEYS_AT_ONCE } from "./where-any-key.ts";

/** Logins and counts are kept for as many days. */
const LOGINS_KEPT_DAYS = 90;
/** Logins that leave a window in one transaction. */
const LOGINS_AT_ONCE = 500;

/**
 * Does at most one step of each owned shard. Returns whether nothing is left to do before the next date. Every step
 * commits only while this process owns the shard, with the place that the next step begins at.
 */
export async function advanceWindows(
  { reader }: Pick<Database, "reader">,
  owned: OwnedShards,
  today: Day,
  signal: AbortSignal,
): Promise<boolean> {
  let isDone = true;
  for (const window of await readShardWindows(reader, owned.shards)) {
    if (signal.aborted) return false;
    if (window.day >= today && !isBehind(window, window.day)) continue;
    isDone = (await advanceWindow(owned, window, today)) && isDone;
  }
  return isDone;
}

function isBehind({ windowDays, expired }: ShardWindow, today: Day): boolean {
  return isAfter(endOfExpired(windowDays, today), expired);
}

/** Returns whether the window is at the current date. */
function advanceWindow(owned: OwnedShards, { shard, windowDays }: ShardWindow, today: Day): Promise<boolean> {
  return owned.transaction([shard], async (trx) => {
    const windows = await readShardWindows(trx, [shard]);
    const window = windows.find((one) => one.windowDays === windowDays);
    if (window === undefined) return true;
    // The clock of the owner before may have been ahead.
    const day = Math.max(today, window.day);
    if (await purge(trx, windows, day)) return false;
    const end = endOfExpired(windowDays, day);
    const leaving = await listLeavingLogins(trx, shard, window.expired, end.day, LOGINS_AT_ONCE);
    await subtractLogins(trx, totalsOf(leaving, window).sort(byKey));
    const last = leaving.length < LOGINS_AT_ONCE ? undefined : leaving.at(-1);
    const expired = last === undefined ? end : { day: last.day, position: last.position };
    await saveShardWindows(trx, [{ ...window, day, expired }]);
    return last === undefined;
  });
}

/** Deletes some of the old logins and counts of a shard. Returns whether there may be more. */
async function purge(trx: Transaction, windows: readonly ShardWindow[], today: Day): Promise<boolean> {
  const [first] = windows;
  if (first === undefined) return false;
  // A login that is still in the totals of a window is needed to take it out.
  const day = Math.min(today - LOGINS_KEPT_DAYS, ...windows.map(({ expired }) => expired.day));
  const logins = await deleteLoginsBefore(trx, first.shard, day);
  const counts = await deleteDailyCountsBefore(trx, first.shard, day);
  return logins === KEYS_AT_ONCE || counts === KEYS_AT_ONCE;
}
