// Walks the rows of a table for one profile, along an index that begins with organization and profile.
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";

/** A table with rows about profiles. */
export interface ExportedTable<Row> {
  readonly name: string;
  /** The columns of the row. */
  readonly columns: readonly string[];
  /** The remaining columns of the index, which order the walk. */
  readonly order: readonly (keyof Row & string)[];
}

/**
 * Rows in one statement: this minimum even for the largest rows, and more up to the byte target for small
 * rows.
 */
const STATEMENT_ROWS_MIN = 32;
const STATEMENT_ROWS_MAX = 1000;
const STATEMENT_BYTES_AIM = 2 * 1024 * 1024;

/** Yields all rows of the profile in index order. */
export async function* walkRows<Row extends object>(
  db: Queryable,
  table: ExportedTable<Row>,
  organizationId: OrganizationId,
  profileId: ProfileId,
  firstLimit = STATEMENT_ROWS_MIN,
): AsyncGenerator<Row> {
  let last: Row | undefined;
  for (let limit = firstLimit; ; ) {
    const query = db(table.name)
      .select(table.columns)
      .where({ organization_id: uuidToBytes(organizationId), profile_id: uuidToBytes(profileId) })
      .orderBy([...table.order])
      .limit(limit);
    if (last !== undefined) whereAfter(query, table.order, last);
    const rows = (await query) as Row[];
    yield* rows;
    last = rows.at(-1);
    if (rows.length < limit) return;
    const perRow = rows.reduce((bytes, row) => bytes + bytesOf(row), 0) / rows.length;
    const fitting = Math.floor(STATEMENT_BYTES_AIM / (perRow + 1));
    limit = Math.min(STATEMENT_ROWS_MAX, Math.max(STATEMENT_ROWS_MIN, fitting));
  }
}

function bytesOf(row: object): number {
  const values: readonly unknown[] = Object.values(row);
  return values.reduce<number>((bytes, value) => {
    const isLong = typeof value === "string" || Buffer.isBuffer(value);
    return bytes + (isLong ? value.length : 8);
  }, 0);
}

type Condition = ReturnType<ReturnType<Queryable>["where"]>;

/** The second condition of a column implies the first, but only the first bounds the index range. */
function whereAfter(condition: Condition, order: readonly string[], last: object): void {
  const [column, ...rest] = order;
  if (column === undefined) return;
  const value = (last as Record<string, Buffer | number>)[column] ?? null;
  if (rest.length === 0) {
    condition.where(column, ">", value);
    return;
  }
  condition
    .where(column, ">=", value)
    .where((either) =>
      either.where(column, ">", value).orWhere((same) => whereAfter(same as Condition, rest, last)),
    );
}
