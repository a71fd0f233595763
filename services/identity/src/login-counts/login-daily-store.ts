// Contains every statement against `login_daily`: logins and distinct users of each UTC date.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import type { Day } from "./login-window.ts";
import { KEYS_AT_ONCE, whereAnyKey } from "./where-any-key.ts";

/** What one shard contributes to a date of an organization. */
export interface DailyCounts {
  readonly organizationId: OrganizationId;
  readonly day: Day;
  readonly shard: number;
  readonly logins: number;
  /** Users without an earlier login on the date. */
  readonly users: number;
}

export interface LoginsOfDay {
  readonly logins: number;
  readonly users: number;
}

interface DayRow {
  readonly day: number;
  readonly logins: number | string;
  readonly users: number | string;
}

const COLUMNS = ["organization_id", "day", "shard", "logins", "users"] as const;
const KEY = ["organization_id", "day", "shard"] as const;

export async function addDailyCounts(trx: Transaction, counts: readonly DailyCounts[]): Promise<void> {
  const rows = counts.map(({ organizationId, day, shard, logins, users }) => [
    uuidToBytes(organizationId),
    day,
    shard,
    logins,
    users,
  ]);
  await insertRows(trx, "login_daily", COLUMNS, rows, { add: ["logins", "users"] }, KEY);
}

/** The dates with logins, from the first to the last. */
export async function readLoginsByDay(
  queryable: Queryable,
  organizationId: OrganizationId,
  first: Day,
  last: Day,
): Promise<Map<Day, LoginsOfDay>> {
  const rows = (await queryable("login_daily")
    .select("day")
    .sum({ logins: "logins", users: "users" })
    .where("organization_id", uuidToBytes(organizationId))
    .andWhere("day", ">=", first)
    .andWhere("day", "<=", last)
    .groupBy("day")) as unknown as DayRow[];
  return new Map(
    rows.map(({ day, logins, users }) => [day, { logins: Number(logins), users: Number(users) }]),
  );
}

/** Deletes up to KEYS_AT_ONCE counts of a shard before a date; returns how many. */
export async function deleteDailyCountsBefore(trx: Transaction, shard: number, day: Day): Promise<number> {
  const rows = await trx("login_daily")
    .select<{ readonly organization_id: Buffer; readonly day: number }[]>("organization_id", "day")
    .where("shard", shard)
    .andWhere("day", "<", day)
    .orderBy("day")
    .limit(KEYS_AT_ONCE);
  if (rows.length === 0) return 0;
  const keys = rows.map((row) => [row.organization_id, row.day, shard]);
  return whereAnyKey(trx("login_daily"), KEY, keys).delete();
}
