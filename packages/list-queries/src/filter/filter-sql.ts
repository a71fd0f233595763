// Compiles a checked filter to a condition with bound values, which has the same meaning on each engine. Pure.
import type { Engine, Value } from "@muster/db";
import type { Comparison, Filter, FilterValue } from "./check-filter.ts";
import type { TextPattern } from "./text-pattern.ts";

export interface SqlCondition {
  readonly sql: string;
  readonly bindings: readonly Value[];
}

const TRUE: SqlCondition = { sql: "1 = 1", bindings: [] };
const FALSE: SqlCondition = { sql: "1 = 0", bindings: [] };

export function filterSql(filter: Filter, engine: Engine): SqlCondition {
  if (filter.kind !== "comparison") {
    return joined(
      filter.kind,
      filter.conditions.map((condition) => filterSql(condition, engine)),
    );
  }
  return comparisonSql(filter, engine);
}

/** `!=` and `=out=` match exactly the rows that `==` and `=in=` do not match, rows without a value included. */
function comparisonSql({ field, operator, values }: Comparison, engine: Engine): SqlCondition {
  const { column } = field;
  switch (operator) {
    case "==":
    case "=in=":
      return joined("or", equalsAny(column, values, engine));
    case "!=":
    case "=out=": {
      const { sql, bindings } = joined("or", equalsAny(column, values, engine));
      const isNull = field.isNullable === true ? ` OR ${column} IS NULL` : "";
      return { sql: `(NOT ${sql}${isNull})`, bindings };
    }
    default: {
      const [value] = values;
      if (value === undefined) return FALSE;
      return { sql: `${column} ${operator} ?`, bindings: [boundOf(value, operator)] };
    }
  }
}

/** A time span lies after `<` and before `>` as a whole. */
function boundOf(value: FilterValue, operator: "<" | "<=" | ">" | ">="): Value {
  switch (value.kind) {
    case "span":
      return operator === "<" || operator === ">=" ? value.span.from : value.span.to;
    case "bytes":
      return value.bytes;
    case "pattern":
      return Buffer.from(value.pattern[0]);
  }
}

function equalsAny(column: string, values: readonly FilterValue[], engine: Engine): SqlCondition[] {
  const exact: Value[] = [];
  const others: SqlCondition[] = [];
  for (const value of values) {
    if (value.kind === "bytes") exact.push(value.bytes);
    else if (value.kind === "span") {
      const { from, to } = value.span;
      if (from === to) exact.push(from);
      else if (from < to) others.push({ sql: `${column} BETWEEN ? AND ?`, bindings: [from, to] });
    } else if (value.pattern.length === 1) exact.push(Buffer.from(value.pattern[0]));
    else others.push(matches(column, value.pattern, engine));
  }
  if (exact.length === 1) others.push({ sql: `${column} = ?`, bindings: exact });
  if (exact.length > 1) {
    others.push({ sql: `${column} IN (${exact.map(() => "?").join(", ")})`, bindings: exact });
  }
  return others;
}

/** The texts before the first wildcard are a range of the index; LIKE compares the rest. */
function matches(column: string, pattern: TextPattern, engine: Engine): SqlCondition {
  const pieces = pattern.filter(
    (piece, index) => piece !== "" || index === 0 || index === pattern.length - 1,
  );
  const [prefix = ""] = pieces;
  if (pieces.every((piece) => piece === "")) return TRUE;
  // Texts hold no NUL, at which SQLite ends a pattern.
  if (pattern.some((piece) => piece.includes("\0"))) return FALSE;
  const conditions: SqlCondition[] = [];
  if (prefix !== "") conditions.push(startsWith(column, prefix));
  if (pieces.length > 2 || pieces.at(-1) !== "") conditions.push(like(column, pattern, engine));
  return joined("and", conditions);
}

function startsWith(column: string, prefix: string): SqlCondition {
  const [from, to] = prefixRange(prefix);
  return { sql: `(${column} >= ? AND ${column} < ?)`, bindings: [from, to] };
}

/** The first text of a prefix, and the first text after all texts with the prefix. */
export function prefixRange(prefix: string): readonly [Buffer, Buffer] {
  const from = Buffer.from(prefix);
  const to = Buffer.from(from);
  const last = to.length - 1;
  // No byte of UTF-8 is 0xff.
  to[last] = (to[last] ?? 0) + 1;
  return [from, to];
}

function like(column: string, pattern: TextPattern, engine: Engine): SqlCondition {
  const text = Buffer.from(pattern.map((piece) => piece.replace(/[|%_]/g, "|$&")).join("%"));
  // SQLite's LIKE does not match blobs. Its disregard of case changes nothing, because both sides are text keys.
  const sql =
    engine === "sqlite"
      ? `CAST(${column} AS TEXT) LIKE CAST(? AS TEXT) ESCAPE '|'`
      : `${column} LIKE ? ESCAPE '|'`;
  return { sql, bindings: [text] };
}

function joined(kind: "and" | "or", conditions: readonly SqlCondition[]): SqlCondition {
  const [first] = conditions;
  if (first === undefined) return kind === "and" ? TRUE : FALSE;
  if (conditions.length === 1) return { sql: `(${first.sql})`, bindings: first.bindings };
  return {
    sql: `(${conditions.map(({ sql }) => sql).join(kind === "and" ? " AND " : " OR ")})`,
    bindings: conditions.flatMap(({ bindings }) => bindings),
  };
}
