// Contains every statement against `login_totals`: the logins of each user in each window.
import { bytesToUuid, chunksOf, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { insertRows, type OrderColumn, pageAfter, type Queryable, type Transaction } from "@muster/db";
import { WINDOWS } from "./login-window.ts";
import { KEYS_AT_ONCE, whereAnyKey } from "./where-any-key.ts";

/** A change of the logins of a user. */
export interface TotalsChange {
  readonly organizationId: OrganizationId;
  readonly windowDays: number;
  readonly userId: UserId;
  readonly shard: number;
  readonly logins: number;
  /** Of the last login. */
  readonly position: number;
}

export interface LoginTotal {
  readonly userId: UserId;
  readonly logins: number;
}

interface Row {
  readonly user_id: Buffer;
  readonly negative_logins: number;
}

const COLUMNS = [
  "organization_id",
  "window_days",
  "user_id",
  "negative_logins",
  "shard",
  "position",
] as const;
const KEY = ["organization_id", "window_days", "user_id"] as const;

const LIST_ORDER: readonly OrderColumn[] = [
  { column: "negative_logins", direction: "asc" },
  { column: "user_id", direction: "asc" },
];

/** The changes are sorted by key, one for each row. */
export async function addLogins(trx: Transaction, changes: readonly TotalsChange[]): Promise<void> {
  const rows = changes.map((change) => [...keyOf(change), -change.logins, change.shard, change.position]);
  const onConflict = { add: ["negative_logins"], overwrite: ["position"] };
  await insertRows(trx, "login_totals", COLUMNS, rows, onConflict, KEY);
}

/** Takes logins away, and deletes the rows of users without further logins. Sorted as for addLogins. */
export async function subtractLogins(trx: Transaction, changes: readonly TotalsChange[]): Promise<void> {
  const rows = changes.map((change) => [...keyOf(change), change.logins, change.shard, change.position]);
  await insertRows(trx, "login_totals", COLUMNS, rows, { add: ["negative_logins"] }, KEY);
  for (const some of chunksOf(changes, KEYS_AT_ONCE)) {
    await whereAnyKey(trx("login_totals"), KEY, some.map(keyOf))
      .andWhere("negative_logins", ">=", 0)
      .delete();
  }
}

/** The users of an organization by (most logins, id), after a row of this order. */
export async function listTotals(
  queryable: Queryable,
  organizationId: OrganizationId,
  windowDays: number,
  after: LoginTotal | undefined,
  limit: number,
): Promise<LoginTotal[]> {
  const query = queryable("login_totals")
    .select<Row[]>("user_id", "negative_logins")
    .where(windowOf(organizationId, windowDays))
    .limit(limit);
  pageAfter(query, LIST_ORDER, after && [-after.logins, uuidToBytes(after.userId)]);
  return (await query).map((row) => ({
    userId: bytesToUuid(row.user_id),
    logins: -row.negative_logins,
  }));
}

/** The logins of a user in each window; none for a window without logins. */
export async function listTotalsOf(
  queryable: Queryable,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<{ readonly windowDays: number; readonly logins: number }[]> {
  const rows: { readonly window_days: number; readonly negative_logins: number }[] = await queryable(
    "login_totals",
  )
    .select("window_days", "negative_logins")
    .where({ organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) })
    .whereIn("window_days", [...WINDOWS])
    .orderBy("window_days");
  return rows.map((row) => ({ windowDays: row.window_days, logins: -row.negative_logins }));
}

/** Up to `limit` users of an organization with a login after these positions. */
export async function listChangedUsers(
  queryable: Queryable,
  organizationId: OrganizationId,
  windowDays: number,
  positions: readonly number[],
  limit: number,
): Promise<UserId[]> {
  const rows = await queryable("login_totals")
    .select<Row[]>("user_id")
    .where(windowOf(organizationId, windowDays))
    .andWhere((changed) => {
      for (const [shard, position] of positions.entries())
        changed.orWhere((later) => later.where("shard", shard).andWhere("position", ">", position));
    })
    .limit(limit);
  return rows.map((row) => bytesToUuid(row.user_id));
}

export async function deleteTotalsOf(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<void> {
  await trx("login_totals")
    .where({ organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) })
    .whereIn("window_days", WINDOWS)
    .delete();
}

function windowOf(organizationId: OrganizationId, windowDays: number) {
  return { organization_id: uuidToBytes(organizationId), window_days: windowDays };
}

function keyOf({ organizationId, windowDays, userId }: TotalsChange) {
  return [uuidToBytes(organizationId), windowDays, uuidToBytes(userId)] as const;
}
