// Stores new logins, and adds them to the counts of their dates and windows in the same transaction.
import type { Transaction } from "@muster/db";
import { addDailyCounts, type DailyCounts } from "./login-daily-store.ts";
import {
  findActiveDays,
  findStoredLogins,
  insertLogins,
  type LoginEvent,
  userDayKey,
} from "./login-event-store.ts";
import { addLogins, type TotalsChange } from "./login-totals-store.ts";
import { type Day, endOfExpired, isAfter, WINDOWS } from "./login-window.ts";
import { readShardWindows, type ShardWindow, saveShardWindows } from "./login-window-store.ts";

/** A login that is stored already, and a repeat within `logins`, is not counted again. */
export async function countLogins(
  trx: Transaction,
  logins: readonly LoginEvent[],
  today: Day,
): Promise<void> {
  const windows = await openWindows(trx, logins, today);
  const fresh = await withoutStored(trx, logins);
  const active = await findActiveDays(trx, fresh);
  await insertLogins(trx, fresh);
  await addDailyCounts(trx, dailyCounts(fresh, active));
  await addLogins(trx, windows.flatMap((window) => totalsOf(fresh, window)).sort(byKey));
}

/** The windows of the shards, advanced to the logins' positions. */
async function openWindows(
  trx: Transaction,
  logins: readonly LoginEvent[],
  today: Day,
): Promise<ShardWindow[]> {
  const lastPositions = new Map<number, number>();
  for (const { shard, position } of logins)
    lastPositions.set(shard, Math.max(position, lastPositions.get(shard) ?? 0));
  const stored = await readShardWindows(trx, [...lastPositions.keys()]);
  const windows = [...lastPositions].flatMap(([shard, position]) =>
    WINDOWS.map((windowDays): ShardWindow => {
      const known = stored.find((one) => one.shard === shard && one.windowDays === windowDays);
      return {
        shard,
        windowDays,
        day: Math.max(today, known?.day ?? today),
        position: Math.max(position, known?.position ?? 0),
        expired: known?.expired ?? endOfExpired(windowDays, today),
      };
    }),
  );
  await saveShardWindows(trx, windows);
  return windows;
}

async function withoutStored(trx: Transaction, logins: readonly LoginEvent[]): Promise<LoginEvent[]> {
  const stored = await findStoredLogins(trx, logins);
  const fresh = new Map(
    logins.filter(({ loginId }) => !stored.has(loginId)).map((login) => [login.loginId, login]),
  );
  return [...fresh.values()].sort((a, b) => compare(keyOf(a), keyOf(b)));
}

function dailyCounts(logins: readonly LoginEvent[], active: ReadonlySet<string>): DailyCounts[] {
  const counts = new Map<string, DailyCounts>();
  const seen = new Set(active);
  for (const login of logins) {
    const { organizationId, day, shard } = login;
    const key = `${organizationId}/${String(day).padStart(8, "0")}/${shard}`;
    const before = counts.get(key) ?? { organizationId, day, shard, logins: 0, users: 0 };
    const isFirst = !seen.has(userDayKey(login));
    seen.add(userDayKey(login));
    counts.set(key, { ...before, logins: before.logins + 1, users: before.users + (isFirst ? 1 : 0) });
  }
  return [...counts].sort(([a], [b]) => compare(a, b)).map(([, count]) => count);
}

/** The logins of a shard by user, without those that have left the window. */
export function totalsOf(
  logins: readonly LoginEvent[],
  { shard, windowDays, expired }: Pick<ShardWindow, "shard" | "windowDays" | "expired">,
): TotalsChange[] {
  const totals = new Map<string, TotalsChange>();
  for (const login of logins) {
    if (login.shard !== shard || !isAfter(login, expired)) continue;
    const { organizationId, userId } = login;
    const key = `${organizationId}/${userId}`;
    const before = totals.get(key);
    const position = Math.max(login.position, before?.position ?? 0);
    const count = (before?.logins ?? 0) + 1;
    totals.set(key, { organizationId, windowDays, userId, shard, logins: count, position });
  }
  return [...totals.values()];
}

export function byKey(a: TotalsChange, b: TotalsChange): number {
  return (
    compare(a.organizationId, b.organizationId) || a.windowDays - b.windowDays || compare(a.userId, b.userId)
  );
}

function keyOf({ organizationId, userId, loginId }: LoginEvent): string {
  return `${organizationId}/${userId}/${loginId}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
