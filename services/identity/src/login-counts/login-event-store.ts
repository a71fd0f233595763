// Contains every statement against `login_events`: the logins of the last 90 days.
import { bytesToUuid, chunksOf, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { insertRows, pageAfter, type Queryable, type Transaction } from "@muster/db";
import type { Day, ExpiredThrough } from "./login-window.ts";
import { KEYS_AT_ONCE, whereAnyKey } from "./where-any-key.ts";

export interface LoginEvent {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
  /** UUID. */
  readonly loginId: string;
  readonly day: Day;
  readonly shard: number;
  /** Of the message. */
  readonly position: number;
  readonly timeMs: number;
}

interface Row {
  readonly organization_id: Buffer;
  readonly user_id: Buffer;
  readonly login_id: Buffer;
  readonly day: number;
  readonly shard: number;
  readonly position: number;
  readonly time_ms: number;
}

const COLUMNS = ["organization_id", "user_id", "login_id", "day", "shard", "position", "time_ms"] as const;
const KEY = ["organization_id", "user_id", "login_id"] as const;

export async function insertLogins(trx: Transaction, logins: readonly LoginEvent[]): Promise<void> {
  const rows = logins.map((login) => [
    uuidToBytes(login.organizationId),
    uuidToBytes(login.userId),
    uuidToBytes(login.loginId),
    login.day,
    login.shard,
    login.position,
    login.timeMs,
  ]);
  await insertRows(trx, "login_events", COLUMNS, rows, "fail", KEY);
}

/** An organization with logins of the person. */
export async function findOrganizationWithLogins(
  queryable: Queryable,
  userId: UserId,
): Promise<OrganizationId | undefined> {
  const row = await queryable("login_events")
    .select("organization_id")
    .where("user_id", uuidToBytes(userId))
    .first<Pick<Row, "organization_id"> | undefined>();
  return row && bytesToUuid(row.organization_id);
}

/** The logins of a person in an organization, by id. */
export async function listLoginsOf(
  queryable: Queryable,
  { organizationId, userId }: Pick<LoginEvent, "organizationId" | "userId">,
  after: Pick<LoginEvent, "loginId"> | undefined,
  limit: number,
): Promise<LoginEvent[]> {
  const query = queryable("login_events")
    .select<Row[]>(COLUMNS)
    .where({ organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) })
    .limit(limit);
  pageAfter(query, [{ column: "login_id", direction: "asc" }], after && [uuidToBytes(after.loginId)]);
  return (await query).map(fromRow);
}

/** The ids of those logins that are stored. */
export async function findStoredLogins(
  trx: Transaction,
  logins: readonly LoginEvent[],
): Promise<Set<string>> {
  const stored = new Set<string>();
  for (const some of chunksOf(logins, KEYS_AT_ONCE)) {
    const keys = some.map(({ organizationId, userId, loginId }) =>
      [organizationId, userId, loginId].map(uuidToBytes),
    );
    const query = trx("login_events").select<Pick<Row, "login_id">[]>("login_id");
    const rows = await whereAnyKey(query, KEY, keys);
    for (const row of rows) stored.add(bytesToUuid(row.login_id));
  }
  return stored;
}

/** A user of an organization on a date. */
export interface UserDay {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
  readonly day: Day;
}

/** Those of the user's dates, as "organization/day/user", that have a login. */
export async function findActiveDays(trx: Transaction, days: readonly UserDay[]): Promise<Set<string>> {
  const active = new Set<string>();
  for (const some of chunksOf(days, KEYS_AT_ONCE)) {
    const keys = some.map(({ organizationId, userId, day }) => [
      uuidToBytes(organizationId),
      day,
      uuidToBytes(userId),
    ]);
    const columns = ["organization_id", "day", "user_id"] as const;
    const query = trx("login_events").distinct<Row[]>(columns);
    const rows = await whereAnyKey(query, columns, keys);
    for (const row of rows) active.add(userDayKey({ ...idsOf(row), day: row.day }));
  }
  return active;
}

export function userDayKey({ organizationId, userId, day }: UserDay): string {
  return `${organizationId}/${day}/${userId}`;
}

/** The logins of a shard after a place, up to a date, in the order in which they leave a window. */
export async function listLeavingLogins(
  queryable: Queryable,
  shard: number,
  after: ExpiredThrough,
  throughDay: Day,
  limit: number,
): Promise<LoginEvent[]> {
  const rows = await queryable("login_events")
    .select<Row[]>(COLUMNS)
    .where("shard", shard)
    .andWhere("day", ">=", after.day)
    .andWhere("day", "<=", throughDay)
    .andWhere((later) =>
      later
        .where("day", ">", after.day)
        .orWhere((same) => same.where("day", after.day).andWhere("position", ">", after.position)),
    )
    .orderBy(["day", "position"])
    .limit(limit);
  return rows.map(fromRow);
}

/** Deletes up to KEYS_AT_ONCE logins of a shard before a date; returns how many. */
export async function deleteLoginsBefore(trx: Transaction, shard: number, day: Day): Promise<number> {
  const rows = await trx("login_events")
    .select<Row[]>(KEY)
    .where("shard", shard)
    .andWhere("day", "<", day)
    .orderBy(["day", "position"])
    .limit(KEYS_AT_ONCE);
  if (rows.length === 0) return 0;
  const keys = rows.map((row) => [row.organization_id, row.user_id, row.login_id]);
  return whereAnyKey(trx("login_events"), KEY, keys).delete();
}

/** Deletes up to `limit` logins of a person in an organization; returns how many. */
export async function deleteLoginsOf(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
  limit: number,
): Promise<number> {
  const person = { organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) };
  const rows = await trx("login_events").select<Row[]>("login_id").where(person).limit(limit);
  if (rows.length === 0) return 0;
  const ids = rows.map(({ login_id }) => login_id);
  return trx("login_events").where(person).whereIn("login_id", ids).delete();
}

function idsOf(row: Pick<Row, "organization_id" | "user_id">) {
  return {
    organizationId: bytesToUuid<OrganizationId>(row.organization_id),
    userId: bytesToUuid<UserId>(row.user_id),
  };
}

function fromRow(row: Row): LoginEvent {
  return {
    ...idsOf(row),
    loginId: bytesToUuid(row.login_id),
    day: row.day,
    shard: row.shard,
    position: row.position,
    timeMs: row.time_ms,
  };
}
