// Reads the ids of a page of a sorted list: range by range, each from an index where the sort has one key.
import type { Queryable, Value } from "@muster/db";
import {
  equalTo,
  type PageRange,
  type RangeCondition,
  rangesAfter,
  type SortPosition,
} from "./page-ranges.ts";
import type { Sort } from "./parse-sort.ts";

/** A query without columns and order; the caller has set the table, the tenant and the filter. */
type Query = ReturnType<Queryable>;

export interface SortedRow {
  readonly id: Buffer;
  /** The values of the sort keys, then the id. */
  readonly position: SortPosition;
}

export interface SortedSource {
  readonly idColumn: string;
  /** A new query for each call. */
  query(): Query;
}

/** At most `limit` rows after the position; fewer only at the end of the list. */
export async function readSorted(
  source: SortedSource,
  sort: Sort,
  after: SortPosition | undefined,
  limit: number,
): Promise<SortedRow[]> {
  const rows: SortedRow[] = [];
  for (const range of rangesAfter(sort, after, source.idColumn)) {
    if (rows.length >= limit) break;
    rows.push(...(await readRange(source, sort, range, limit - rows.length)));
  }
  return rows;
}

async function readRange(
  source: SortedSource,
  sort: Sort,
  range: PageRange,
  limit: number,
): Promise<SortedRow[]> {
  const [key] = range.keys;
  if (range.keys.length === 1 && key !== undefined && key.direction !== sort.idDirection) {
    return readMixed(source, sort, range, key, limit);
  }
  const query = inRange(source, sort, range.conditions).limit(limit);
  for (const { column, direction } of range.keys) query.orderBy(column, direction);
  return fetchRows(query.orderBy(source.idColumn, sort.idDirection), sort);
}

/**
 * Reads a range by one key in one direction and ids in the other. No portable index has both directions, so the
 * engine orders by the key alone. The rows of the last value may be any of their kind and are read again, by id.
 */
async function readMixed(
  source: SortedSource,
  sort: Sort,
  range: PageRange,
  key: Sort["keys"][number],
  limit: number,
): Promise<SortedRow[]> {
  const query = inRange(source, sort, range.conditions).orderBy(key.column, key.direction).limit(limit);
  const rows = await fetchRows(query, sort);
  const index = sort.keys.indexOf(key);
  const last = rows.at(-1)?.position[index];
  if (last === undefined) return rows;
  const isFull = rows.length === limit;
  const whole = rows.filter(({ position }) => !isFull || !isSame(position[index], last));
  const sorted = sortTies(whole, index, sort.idDirection);
  if (!isFull) return sorted;
  const tied = inRange(source, sort, [...range.conditions, equalTo(key.column, last)])
    .orderBy(source.idColumn, sort.idDirection)
    .limit(limit - sorted.length);
  return [...sorted, ...(await fetchRows(tied, sort))];
}

/** Rows in the order of the key, with the ids of equal rows in order. */
function sortTies(rows: readonly SortedRow[], index: number, direction: "asc" | "desc"): SortedRow[] {
  const groups: SortedRow[][] = [];
  for (const row of rows) {
    const group = groups.at(-1);
    if (group?.[0] !== undefined && isSame(group[0].position[index], row.position[index])) group.push(row);
    else groups.push([row]);
  }
  const sign = direction === "asc" ? 1 : -1;
  return groups.flatMap((group) => group.sort((a, b) => sign * Buffer.compare(a.id, b.id)));
}

function isSame(a: Value | undefined, b: Value | undefined): boolean {
  return Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : a === b;
}

function inRange(source: SortedSource, sort: Sort, conditions: readonly RangeCondition[]): Query {
  const query = source.query().select({ id: source.idColumn });
  for (const [index, { column }] of sort.keys.entries()) query.select({ [`key_${index}`]: column });
  for (const condition of conditions) {
    if ("value" in condition) {
      query.where(condition.column, SIGNS[condition.kind], boundValue(condition.value));
    } else if (condition.kind === "null") query.whereNull(condition.column);
    else query.whereNotNull(condition.column);
  }
  return query;
}

function boundValue(value: Value): string | number | Buffer {
  if (value === null || typeof value === "bigint") throw new TypeError("a range needs a number or bytes");
  return value;
}

const SIGNS = { equal: "=", less: "<", greater: ">" } as const;

async function fetchRows(query: Query, sort: Sort): Promise<SortedRow[]> {
  const rows = (await query) as ({ readonly id: Buffer } & Record<string, Value>)[];
  return rows.map((row) => {
    const keys = sort.keys.map((_, index) => row[`key_${index}`] ?? null);
    return { id: row.id, position: [...keys, row.id] };
  });
}
