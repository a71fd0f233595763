// Contains every statement against `login_windows`: how far each shard's windows have advanced.
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import type { Day, ExpiredThrough } from "./login-window.ts";

export interface ShardWindow {
  readonly shard: number;
  readonly windowDays: number;
  /** The latest date on which the shard's owner has worked. */
  readonly day: Day;
  /** Of the last applied message. */
  readonly position: number;
  /** Logins up to here are not in the totals. */
  readonly expired: ExpiredThrough;
}

interface Row {
  readonly shard: number;
  readonly window_days: number;
  readonly day: number;
  readonly position: number;
  readonly expired_day: number;
  readonly expired_position: number;
}

const COLUMNS = ["shard", "window_days", "day", "position", "expired_day", "expired_position"] as const;

/** The windows of these shards. A shard without a login has none. */
export async function readShardWindows(
  queryable: Queryable,
  shards: readonly number[],
): Promise<ShardWindow[]> {
  const rows = await queryable("login_windows").select<Row[]>(COLUMNS).whereIn("shard", shards);
  return rows.map((row) => ({
    shard: row.shard,
    windowDays: row.window_days,
    day: row.day,
    position: row.position,
    expired: { day: row.expired_day, position: row.expired_position },
  }));
}

export async function saveShardWindows(trx: Transaction, windows: readonly ShardWindow[]): Promise<void> {
  const sorted = [...windows].sort((a, b) => a.shard - b.shard || a.windowDays - b.windowDays);
  const rows = sorted.map(({ shard, windowDays, day, position, expired }) => [
    shard,
    windowDays,
    day,
    position,
    expired.day,
    expired.position,
  ]);
  const overwrite = ["day", "position", "expired_day", "expired_position"];
  await insertRows(trx, "login_windows", COLUMNS, rows, { overwrite }, ["shard", "window_days"]);
}
