// Reads the users of an organization by their logins in a window, as of a state.
import { ALL_SHARDS, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { type LoginTotal, listChangedUsers, listTotals } from "../login-counts/login-totals-store.ts";
import { endOfExpired, isAfter } from "../login-counts/login-window.ts";
import { readShardWindows } from "../login-counts/login-window-store.ts";
import type { RankingScope } from "./as-of.ts";
import { countLoginsByUser, listMostLogins } from "./login-count-store.ts";

/** Most users whose logins since the state are counted out one by one. */
const CHANGED_USERS_MAX = 1_000;

/**
 * Up to `limit` users after a row, in the order (most logins, id). The totals are read where they are of the state's
 * window. Users with later logins are counted from the events, and so are all users while the windows advance.
 */
export async function readRanking(
  trx: Transaction,
  scope: RankingScope,
  after: LoginTotal | undefined,
  limit: number,
): Promise<LoginTotal[]> {
  const { organizationId, windowDays, asOf } = scope;
  if (!(await isAligned(trx, scope))) return listMostLogins(trx, scope, after, limit);
  const most = CHANGED_USERS_MAX + 1;
  const changed = await listChangedUsers(trx, organizationId, windowDays, asOf.positions, most);
  if (changed.length === most) return listMostLogins(trx, scope, after, limit);
  const totals = await listTotals(trx, organizationId, windowDays, after, limit + changed.length);
  const counts = await countLoginsByUser(trx, scope, changed);
  return merged(totals, changed, counts, after).slice(0, limit);
}

/** Whether the totals of every shard are of the window that the state has. */
async function isAligned(trx: Transaction, { windowDays, asOf }: RankingScope): Promise<boolean> {
  const end = endOfExpired(windowDays, asOf.day);
  const windows = await readShardWindows(trx, ALL_SHARDS);
  return windows
    .filter((window) => window.windowDays === windowDays)
    .every(({ expired }) => !isAfter(expired, end) && !isAfter(end, expired));
}

function merged(
  totals: readonly LoginTotal[],
  changed: readonly UserId[],
  counts: readonly LoginTotal[],
  after: LoginTotal | undefined,
): LoginTotal[] {
  const recounted = new Set(changed);
  const unchanged = totals.filter(({ userId }) => !recounted.has(userId));
  const later = counts.filter((count) => after === undefined || byRank(count, after) > 0);
  return [...unchanged, ...later].sort(byRank);
}

function byRank(one: LoginTotal, other: LoginTotal): number {
  return other.logins - one.logins || (one.userId < other.userId ? -1 : one.userId > other.userId ? 1 : 0);
}
