// Builds a bounded number of SQL conditions that select many keys by an index. Pure.
import { chunksOf } from "@muster/core";

/** Maximum number of values in all IN lists of one statement. */
const STATEMENT_VALUES_MAX = 1000;
/** Maximum number of groups in one statement. */
const STATEMENT_GROUPS_MAX = 64;

/** A value bound to a condition. */
export type Bound = number | Buffer;

/** A set of keys: the first columns equal `fixed` and the last column is one of `values`. */
export interface KeyGroup {
  readonly fixed: readonly Bound[];
  readonly values: readonly Bound[];
}

/** Yields conditions with bindings. Together the conditions select every group by the key's columns. */
export function* keyConditions(
  columns: readonly string[],
  groups: Iterable<KeyGroup>,
): Generator<[condition: string, bindings: Bound[]]> {
  const last = columns.at(-1);
  const fixed = columns.slice(0, -1).map((column) => `${column} = ?`);
  let conditions: string[] = [];
  let bindings: Bound[] = [];
  for (const group of groups) {
    for (const values of chunksOf(group.values, STATEMENT_VALUES_MAX)) {
      const isFull =
        bindings.length + values.length > STATEMENT_VALUES_MAX || conditions.length >= STATEMENT_GROUPS_MAX;
      if (isFull && conditions.length > 0) {
        yield [conditions.join(" or "), bindings];
        conditions = [];
        bindings = [];
      }
      const marks = `?${", ?".repeat(values.length - 1)}`;
      conditions.push(`(${fixed.join(" and ")} and ${last} in (${marks}))`);
      bindings.push(...group.fixed, ...values);
    }
  }
  if (conditions.length > 0) yield [conditions.join(" or "), bindings];
}
