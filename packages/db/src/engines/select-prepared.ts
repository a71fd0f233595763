// Runs a constant query as a prepared statement, without the query builder.
import { assert } from "@muster/core";
import type { Transaction, Value } from "../port/database.ts";
import { MysqlClient } from "./mysql-client.ts";
import { SqliteClient } from "./sqlite-client.ts";

/**
 * Returns the rows of `sql`, which must have only few different texts. Bind only Buffers and strings: MySQL's
 * protocol sends a number as a DOUBLE, for which an index may be useless.
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

/**
 * Pads the values of an IN list to a power of two by repeating the last one, so that few statement texts
 * occur.
 */
export function paddedValues<T extends Value>(values: readonly T[]): T[] {
  const last = values.at(-1);
  if (last === undefined) return [];
  const size = 2 ** Math.ceil(Math.log2(values.length));
  return [...values, ...new Array<T>(size - values.length).fill(last)];
}
