// Query pieces that every store needs and that must mean the same on each engine.
import type { Knex } from "knex";
import type { Transaction, Value } from "./database.ts";

/** Locks the rows that `query` finds until the transaction ends. SQLite's writer is alone already. */
export function forUpdate<Q extends Knex.QueryBuilder>(trx: Transaction, query: Q): Q {
  query.transacting(trx).forUpdate();
  return query;
}

export interface OrderColumn {
  readonly column: string;
  readonly direction: "asc" | "desc";
}

/**
 * Orders `query` by `order` and keeps what comes after `last`, the order columns of the last row seen
 * (undefined: from the start). The columns together are unique, so a page repeats and skips nothing.
 */
export function pageAfter<Q extends Knex.QueryBuilder>(
  query: Q,
  order: readonly OrderColumn[],
  last: readonly Value[] | undefined,
): Q {
  for (const { column, direction } of order) query.orderBy(column, direction);
  if (last === undefined) return query;
  // (a, b) > (x, y) spelled out, for a row comparison can't mix directions and is badly planned by MySQL.
  query.where((anyOf) => {
    for (const [depth, { column, direction }] of order.entries()) {
      anyOf.orWhere((allOf) => {
        for (const [index, equal] of order.slice(0, depth).entries()) {
          allOf.where(equal.column, bound(last[index]));
        }
        allOf.where(column, direction === "asc" ? ">" : "<", bound(last[depth]));
      });
    }
  });
  const [first] = order;
  // The same once more on the first column alone, which lets every engine start its index scan there.
  if (first !== undefined && order.length > 1) {
    query.where(first.column, first.direction === "asc" ? ">=" : "<=", bound(last[0]));
  }
  return query;
}

function bound(value: Value | undefined): Knex.Value {
  if (value === undefined || value === null) throw new TypeError("a page's last row has no such column");
  return value as Knex.Value;
}
