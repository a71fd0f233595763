// Walks the rows that a table keeps of one profile, by an index that begins with organisation and profile.
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";

export interface KeptTable<Row> {
  readonly name: string;
  /** Those of the row. */
  readonly columns: readonly string[];
  /** The rest of the index: the order of the walk. */
  readonly order: readonly (keyof Row & string)[];
  /** Of one statement, so that even the largest are only a few MiB. */
  readonly rowsAtOnce: number;
}

export async function* walkRows<Row extends object>(
  db: Queryable,
  table: KeptTable<Row>,
  organizationId: OrganizationId,
  profileId: ProfileId,
): AsyncGenerator<Row> {
  for (let last: Row | undefined; ; ) {
    const query = db(table.name)
      .select(table.columns)
      .where({ organization_id: uuidToBytes(organizationId), profile_id: uuidToBytes(profileId) })
      .orderBy([...table.order])
      .limit(table.rowsAtOnce);
    if (last !== undefined) goOnAfter(query, table.order, last);
    const rows = (await query) as Row[];
    yield* rows;
    last = rows.at(-1);
    if (rows.length < table.rowsAtOnce) return;
  }
}

type Condition = ReturnType<ReturnType<Queryable>["where"]>;

/** Each column's first condition is implied by its second, but it alone bounds the index range. */
function goOnAfter(condition: Condition, order: readonly string[], last: object): void {
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
      either.where(column, ">", value).orWhere((same) => goOnAfter(same as Condition, rest, last)),
    );
}
