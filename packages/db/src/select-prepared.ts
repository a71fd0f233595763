// A constant query on the engine's own path: prepared once for a connection, and built by nobody.
import { assert } from "@muster/core";
import type { Transaction, Value } from "./database.ts";
import { MysqlClient } from "./mysql-client.ts";
import { SqliteClient } from "./sqlite-client.ts";

/**
 * Rows of `sql`, which takes few different forms. Bind Buffers and texts only: MySQL's protocol sends a
 * number as a DOUBLE, with which an index may be of no use.
 */
export async function selectPrepared<Row>(
  trx: Transaction,
  sql: string,
  values: readonly Exclude<Value, number | bigint>[],
): Promise<Row[]> {
  assert(!trx.isCompleted(), "selectPrepared after the end of its transaction");
  const client: unknown = trx.client;
  if (client instanceof SqliteClient) {
    return (await client.selectPrepared(await client.acquireConnection(), sql, values)) as Row[];
  }
  assert(client instanceof MysqlClient, "selectPrepared needs a transaction of this package");
  return (await client.execute(await client.acquireConnection(), sql, [...values])) as Row[];
}

/** The values of an IN list that has one of a few sizes: the last one repeats up to a power of two. */
export function paddedValues<T extends Value>(values: readonly T[]): T[] {
  const last = values.at(-1);
  if (last === undefined) return [];
  const size = 2 ** Math.ceil(Math.log2(values.length));
  return [...values, ...new Array<T>(size - values.length).fill(last)];
}
