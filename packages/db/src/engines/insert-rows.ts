// Inserts rows by the bulk path of each engine. It is the only place that writes upserts.
import { assert } from "@muster/core";
import type { InsertRows, OnConflict, Value } from "../port/database.ts";
import { MysqlClient } from "./mysql-client.ts";
import { SqliteClient } from "./sqlite-client.ts";

/**
 * Most rows of a statement. A power of two, so that at most ten statements per table and kind are prepared.
 */
const STATEMENT_ROWS_MAX = 512;
/** Fewer rows than this are not worth a prepared statement, unless their number is a power of two. */
const TEXT_ROWS_MAX = 64;
/** Bytes take two hexadecimal digits each in a text statement. */
const TEXT_BYTES_MAX = 256 * 1024;
/** Well below max_allowed_packet (16 MiB by default). */
const STATEMENT_BYTES_MAX = 4 * 1024 * 1024;
/** The protocol's limit on placeholders. */
const STATEMENT_VALUES_MAX = 65_535;

type Row = readonly Value[];

export const insertRows: InsertRows = async (trx, table, columns, rows, onConflict, key) => {
  assert(!trx.isCompleted(), "insertRows after the end of its transaction");
  for (const row of rows) assert(row.length === columns.length, `a row of ${table} has a wrong length`);
  if (rows.length === 0) return;
  const client: unknown = trx.client;
  if (client instanceof SqliteClient) {
    const sql = insertHead(table, columns, 1) + sqliteConflict(table, onConflict, key);
    await client.executeEach(await client.acquireConnection(), sql, rows);
    return;
  }
  assert(client instanceof MysqlClient, "insertRows needs a transaction of this package");
  await insertIntoMysql(client, table, columns, rows, mysqlConflict(table, onConflict, key));
};

async function insertIntoMysql(
  client: MysqlClient,
  table: string,
  columns: readonly string[],
  rows: readonly Row[],
  conflict: string,
): Promise<void> {
  const connection = await client.acquireConnection();
  for (let start = 0; start < rows.length; ) {
    const fitting = fittingRows(rows, start, columns.length);
    const prepared = 2 ** Math.floor(Math.log2(fitting));
    // A short rest is sent as one text statement, because a round trip for each of its powers of two would
    // take longer.
    const isShort = fitting !== prepared && isShortText(rows.slice(start, start + fitting));
    const count = isShort ? fitting : prepared;
    const sql = insertHead(table, columns, count) + conflict;
    const values = rows.slice(start, start + count).flat();
    await (isShort ? client.executeText(connection, sql, values) : client.execute(connection, sql, values));
    start += count;
  }
}

function isShortText(rows: readonly Row[]): boolean {
  return rows.length < TEXT_ROWS_MAX && rows.reduce((sum, row) => sum + rowBytes(row), 0) < TEXT_BYTES_MAX;
}

/** Returns how many rows from `start` fit into one statement; at least one. */
function fittingRows(rows: readonly Row[], start: number, columnCount: number): number {
  const rowsMax = Math.min(
    STATEMENT_ROWS_MAX,
    rows.length - start,
    Math.floor(STATEMENT_VALUES_MAX / columnCount),
  );
  let fitting = 0;
  for (let bytes = 0; fitting < rowsMax; fitting += 1) {
    bytes += rowBytes(rows[start + fitting] ?? []);
    if (bytes > STATEMENT_BYTES_MAX) break;
  }
  return Math.max(1, fitting);
}

function rowBytes(row: Row): number {
  let bytes = 0;
  for (const value of row) {
    // A UTF-16 unit takes at most three bytes of UTF-8.
    if (typeof value === "string") bytes += value.length * 3;
    else bytes += value instanceof Buffer ? value.length : 9;
  }
  return bytes;
}

function insertHead(table: string, columns: readonly string[], rowCount: number): string {
  const tuple = `(${columns.map(() => "?").join()})`;
  return `INSERT INTO ${quote(table)} (${columns.map(quote).join()}) VALUES ${Array(rowCount).fill(tuple).join()}`;
}

function sqliteConflict(table: string, onConflict: OnConflict, key: readonly string[]): string {
  if (onConflict === "fail") return "";
  const target = ` ON CONFLICT (${key.map(quote).join()}) DO`;
  if (onConflict === "keep") return `${target} NOTHING`;
  // Bytes joined by || have the type TEXT in SQLite, with the same bytes.
  return `${target} UPDATE SET ${assignments(table, onConflict, {
    incoming: (column) => `excluded.${column}`,
    joined: (there, incoming) => `CAST(${there} || ${incoming} AS BLOB)`,
  })}`;
}

function mysqlConflict(table: string, onConflict: OnConflict, key: readonly string[]): string {
  if (onConflict === "fail") return "";
  const update = " ON DUPLICATE KEY UPDATE ";
  if (onConflict !== "keep") {
    return (
      update +
      assignments(table, onConflict, {
        incoming: (column) => `VALUES(${column})`,
        joined: (there, incoming) => `CONCAT(${there}, ${incoming})`,
      })
    );
  }
  const first = quote(key[0] ?? "");
  return `${update}${first} = ${quote(table)}.${first}`;
}

/** Engine-specific expressions of an upsert. */
interface Dialect {
  readonly incoming: (column: string) => string;
  readonly joined: (there: string, incoming: string) => string;
}

function assignments(
  table: string,
  onConflict: Exclude<OnConflict, string>,
  { incoming, joined }: Dialect,
): string {
  const { add = [], append = [], overwrite = [] }: Partial<Record<string, readonly string[]>> = onConflict;
  const there = (column: string): string => `${quote(table)}.${column}`;
  const set = (names: readonly string[], value: (column: string) => string): string[] =>
    names.map(quote).map((column) => `${column} = ${value(column)}`);
  return [
    ...set(add, (column) => `${there(column)} + ${incoming(column)}`),
    ...set(append, (column) => joined(there(column), incoming(column))),
    ...set(overwrite, incoming),
  ].join(", ");
}

function quote(name: string): string {
  assert(/^[a-z][a-z0-9_]*$/.test(name), `not a valid table or column name: ${name}`);
  return `\`${name}\``;
}
