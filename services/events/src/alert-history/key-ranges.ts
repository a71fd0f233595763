// Builds conditions that select many rows by key, with a bounded number of keys per statement.
import { chunksOf } from "@muster/core";

type Bound = number | Buffer;

/** Values in all IN lists of one statement. */
const STATEMENT_VALUES_MAX = 1000;
/** Groups in one statement. */
const STATEMENT_GROUPS_MAX = 64;

/** The `fixed` columns have these values, and the last column is in `values`. */
export interface KeyGroup {
  readonly fixed: readonly Bound[];
  readonly values: readonly Bound[];
}

/** Returns conditions with bindings that together select every group by the columns of the key. */
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
