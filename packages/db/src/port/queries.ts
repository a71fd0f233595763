// Builds query parts that have the same meaning on each engine.
import type { Knex } from "knex";
import type { Transaction, Value } from "./database.ts";

/**
 * Most values of an IN list in one statement: below the size at which MariaDB turns the list into a temporary
 * table.
 */
export const IN_LIST_VALUES_MAX = 500;

/** Locks the rows of `query` until the transaction ends. SQLite has only one writer, so it needs no lock. */
export function forUpdate<Q extends Knex.QueryBuilder>(trx: Transaction, query: Q): Q {
  query.transacting(trx).forUpdate();
  return query;
}

/** Locks as forUpdate does, but rejects at once when another transaction holds a row; see isBlocked. */
export function forUpdateNoWait<Q extends Knex.QueryBuilder>(trx: Transaction, query: Q): Q {
  forUpdate(trx, query);
  // knex has no such clause for SQLite, where only one transaction writes.
  if ((trx.client as { readonly dialect: string }).dialect === "mysql") query.noWait();
  return query;
}

export interface OrderColumn {
  readonly column: string;
  readonly direction: "asc" | "desc";
}

/**
 * Orders `query` by `order` and returns only rows after `last`, the order columns of the last row of the page
 * before (undefined: from the start). The columns must be unique together, so that pages repeat and omit
 * nothing.
 */
export function pageAfter<Q extends Knex.QueryBuilder>(
  query: Q,
  order: readonly OrderColumn[],
  last: readonly Value[] | undefined,
): Q {
  for (const { column, direction } of order) query.orderBy(column, direction);
  if (last === undefined) return query;
  // Equivalent to (a, b) > (x, y). A row comparison cannot mix directions, and MySQL plans it badly.
  query.where((anyOf) => {
    for (const [depth, { column, direction }] of order.entries()) {
      anyOf.orWhere((allOf) => {
        for (const [index, equal] of order.slice(0, depth).entries()) {
          allOf.where(equal.column, boundValue(last[index]));
        }
        allOf.where(column, direction === "asc" ? ">" : "<", boundValue(last[depth]));
      });
    }
  });
  const [first] = order;
  // The condition on the first column alone lets every engine start its index scan there.
  if (first !== undefined && order.length > 1) {
    query.where(first.column, first.direction === "asc" ? ">=" : "<=", boundValue(last[0]));
  }
  return query;
}

function boundValue(value: Value | undefined): Knex.Value {
  if (value === undefined || value === null)
    throw new TypeError("the last row of a page must have every order column");
  return value as Knex.Value;
}
