// Splits the rows after a position of a sorted list into ranges that each engine reads from an index. Pure.
import type { Value } from "@muster/db";
import type { Sort, SortKey } from "./parse-sort.ts";

/** Conditions on the sort columns, and the keys that still order the rows of the range. */
export interface PageRange {
  /** All hold. */
  readonly conditions: readonly RangeCondition[];
  readonly keys: readonly SortKey[];
}

export type RangeCondition = NullCondition | ValueCondition;

interface NullCondition {
  readonly kind: "null" | "not null";
  readonly column: string;
}

interface ValueCondition {
  readonly kind: "equal" | "less" | "greater";
  readonly column: string;
  readonly value: Value;
}

/** The values of the sort keys of a row, then its id. */
export type SortPosition = readonly Value[];

/**
 * The ranges in the order of the list. First the rows equal by all keys with later ids, then the rows equal by all
 * keys but the last, and so on. Nulls come first ascending and last descending.
 */
export function rangesAfter(sort: Sort, after: SortPosition | undefined, idColumn: string): PageRange[] {
  const { keys, idDirection } = sort;
  if (after === undefined) return [{ conditions: [], keys }];
  const equal = keys.map(({ column }, index) => equalTo(column, valueAt(after, index)));
  const later: RangeCondition = {
    kind: idDirection === "asc" ? "greater" : "less",
    column: idColumn,
    value: valueAt(after, keys.length),
  };
  const ranges: PageRange[] = [{ conditions: [...equal, later], keys: [] }];
  for (let index = keys.length - 1; index >= 0; index -= 1) {
    const key = keys[index];
    if (key === undefined) continue;
    const before = equal.slice(0, index);
    for (const condition of laterThan(key, valueAt(after, index))) {
      // A range of nulls is ordered by the keys after this one only.
      const rest = condition.kind === "null" ? keys.slice(index + 1) : keys.slice(index);
      ranges.push({ conditions: [...before, condition], keys: rest });
    }
  }
  return ranges;
}

export function equalTo(column: string, value: Value): RangeCondition {
  return value === null ? { kind: "null", column } : { kind: "equal", column, value };
}

function laterThan({ column, direction, field }: SortKey, value: Value): RangeCondition[] {
  if (direction === "asc") {
    return [value === null ? { kind: "not null", column } : { kind: "greater", column, value }];
  }
  if (value === null) return [];
  const less: RangeCondition = { kind: "less", column, value };
  return field.isNullable === true ? [less, { kind: "null", column }] : [less];
}

function valueAt(position: SortPosition, index: number): Value {
  const value = position[index];
  if (value === undefined) throw new RangeError("a position has no value for a sort key");
  return value;
}
