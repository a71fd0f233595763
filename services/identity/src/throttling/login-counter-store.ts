// Contains every statement against `login_counters`: failed logins by pair, address typed and client. The keys are
// keyed digests, because the addresses typed belong to anybody.
import { bytesToUuid, type UserId, uuidToBytes } from "@muster/core";
import { forUpdate, insertRows, type Queryable, type Transaction, type Value } from "@muster/db";
import type { Counter } from "./throttle-rules.ts";

export interface StoredCounter extends Counter {
  /** Set when an unlock mail is due. */
  readonly mailDueTimeMs: number | undefined;
  /** The account of the due mail; undefined for an address without an account. */
  readonly mailUserId: UserId | undefined;
  /** When the last unlock mail was queued. */
  readonly mailTimeMs: number | undefined;
  /** The row may be deleted from then on. */
  readonly expireTimeMs: number;
}

const COLUMNS = [
  "counter_key",
  "failures",
  "end_time_ms",
  "unlocks",
  "mail_due_time_ms",
  "mail_user_id",
  "mail_time_ms",
  "expire_time_ms",
] as const;
const KEY = ["counter_key"] as const;
const CHANGEABLE = COLUMNS.filter((column) => column !== "counter_key");

interface Row {
  readonly counter_key: Buffer;
  readonly failures: number;
  readonly end_time_ms: number;
  readonly unlocks: number;
  readonly mail_due_time_ms: number | null;
  readonly mail_user_id: Buffer | null;
  readonly mail_time_ms: number | null;
  readonly expire_time_ms: number;
}

const EMPTY_STORED_COUNTER: StoredCounter = {
  failures: 0,
  endTimeMs: 0,
  unlocks: 0,
  mailDueTimeMs: undefined,
  mailUserId: undefined,
  mailTimeMs: undefined,
  expireTimeMs: 0,
};

/** The counters of the keys in their order; an empty one for each absent row. */
export async function readCounters(queryable: Queryable, keys: readonly Buffer[]): Promise<StoredCounter[]> {
  const rows = await queryable("login_counters")
    .select<Row[]>(COLUMNS)
    .whereIn("counter_key", keys as Buffer[]);
  return inOrder(keys, rows);
}

/** As readCounters, with every row present and locked until the transaction ends. */
export async function lockCounters(trx: Transaction, keys: readonly Buffer[]): Promise<StoredCounter[]> {
  const sorted = [...keys].sort(Buffer.compare);
  const empty = sorted.map((key) => valuesOf(key, EMPTY_STORED_COUNTER));
  await insertRows(trx, "login_counters", COLUMNS, empty, "keep", KEY);
  const query = trx("login_counters")
    .select<Row[]>(COLUMNS)
    .whereIn("counter_key", sorted)
    .orderBy("counter_key");
  return inOrder(keys, await forUpdate(trx, query));
}

export async function writeCounters(
  trx: Transaction,
  counters: readonly { readonly key: Buffer; readonly counter: StoredCounter }[],
): Promise<void> {
  const sorted = [...counters].sort((one, other) => Buffer.compare(one.key, other.key));
  const rows = sorted.map(({ key, counter }) => valuesOf(key, counter));
  await insertRows(trx, "login_counters", COLUMNS, rows, { overwrite: CHANGEABLE }, KEY);
}

/** Keys of counters with a due unlock mail, the longest due first. */
export async function listDueMails(queryable: Queryable, limit: number): Promise<Buffer[]> {
  const rows = await queryable("login_counters")
    .select<Row[]>("counter_key")
    .whereNotNull("mail_due_time_ms")
    .orderBy("mail_due_time_ms")
    .limit(limit);
  return rows.map((row) => row.counter_key);
}

/** Deletes at most `limit` expired counters; returns how many. */
export async function deleteExpiredCounters(trx: Transaction, nowMs: number, limit: number): Promise<number> {
  const expired = await trx("login_counters")
    .select<Row[]>("counter_key")
    .where("expire_time_ms", "<=", nowMs)
    .orderBy("expire_time_ms")
    .limit(limit);
  if (expired.length === 0) return 0;
  const keys = expired.map((row) => row.counter_key).sort(Buffer.compare);
  // A counter that has counted a failure since has a later time.
  await trx("login_counters").whereIn("counter_key", keys).andWhere("expire_time_ms", "<=", nowMs).delete();
  return expired.length;
}

function inOrder(keys: readonly Buffer[], rows: readonly Row[]): StoredCounter[] {
  return keys.map((key) => {
    const row = rows.find((one) => one.counter_key.equals(key));
    return row === undefined ? EMPTY_STORED_COUNTER : fromRow(row);
  });
}

function valuesOf(key: Buffer, counter: StoredCounter): Value[] {
  return [
    key,
    counter.failures,
    counter.endTimeMs,
    counter.unlocks,
    counter.mailDueTimeMs ?? null,
    counter.mailUserId === undefined ? null : uuidToBytes(counter.mailUserId),
    counter.mailTimeMs ?? null,
    counter.expireTimeMs,
  ];
}

function fromRow(row: Row): StoredCounter {
  return {
    failures: Number(row.failures),
    endTimeMs: row.end_time_ms,
    unlocks: Number(row.unlocks),
    mailDueTimeMs: row.mail_due_time_ms ?? undefined,
    mailUserId: row.mail_user_id === null ? undefined : bytesToUuid<UserId>(row.mail_user_id),
    mailTimeMs: row.mail_time_ms ?? undefined,
    expireTimeMs: row.expire_time_ms,
  };
}
