// Restricts a query to rows with one of several compound keys, in a form that every engine plans by the key.
import type { Transaction, Value } from "@muster/db";

/** Keys in one statement. */
export const KEYS_AT_ONCE = 128;

type Query = ReturnType<Transaction>;

/** MariaDB scans the table for a list of compound keys, but reads alternatives by the key. */
export function whereAnyKey<Q extends Query>(
  query: Q,
  columns: readonly string[],
  keys: readonly (readonly Value[])[],
): Q {
  query.where((any) => {
    for (const key of keys) {
      any.orWhere(Object.fromEntries(columns.map((column, index) => [column, key[index]])));
    }
  });
  return query;
}
