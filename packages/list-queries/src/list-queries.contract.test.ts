// Tests on both engines that filters and sorts in SQL select and order the same rows as plain comparisons do.
import { randomIds, uuidToBytes } from "@muster/core";
import { bytes, type Database, id16, instant, integer, nullable, Schema } from "@muster/db";
import { ENGINES, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  filterSql,
  type ListFields,
  parseSort,
  readFilter,
  readSorted,
  type SortPosition,
  textKey,
} from "./index.ts";
import {
  anyFilter,
  anyRow,
  anySort,
  compareRows,
  matchesRow,
  printFilter,
  type Row,
} from "./testing/plain-lists.ts";

const FIELDS: ListFields = {
  id: { type: { kind: "id" }, column: "id" },
  name: { type: { kind: "text" }, column: "name_key" },
  role: { type: { kind: "enum", values: ["owner", "member"] }, column: "role" },
  verified: { type: { kind: "boolean" }, column: "verified" },
  count: { type: { kind: "integer" }, column: "count" },
  at: { type: { kind: "instant" }, column: "at_ms", isNullable: true },
};

describe.each(ENGINES)("lists on %s", (engine) => {
  let place: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    place = await openTestDatabase(engine);
    database = place.database;
    await database.transaction((trx) =>
      new Schema(engine, trx).createTable("people", {
        columns: {
          id: id16(),
          name_key: bytes(1200),
          role: bytes(16),
          verified: integer(),
          count: integer(),
          at_ms: nullable(instant()),
        },
        primaryKey: ["id"],
        indexes: { people_at_ix: ["at_ms", "id"], people_name_ix: ["name_key", "id"] },
      }),
    );
  });
  afterAll(() => place.close());

  async function store(rows: readonly Row[]): Promise<void> {
    await database.transaction(async (trx) => {
      await trx("people").delete();
      if (rows.length > 0) await trx("people").insert(rows.map(toColumns));
    });
  }

  async function page(filter: string, sort: string, after: SortPosition | undefined, limit: number) {
    const condition = readFilter(filter, FIELDS);
    const query = () => {
      const people = database.reader("people");
      if (condition === undefined) return people;
      const { sql, bindings } = filterSql(condition, engine);
      return people.whereRaw(sql, bindings as Buffer[]);
    };
    return readSorted({ idColumn: "id", query }, parseSort(sort, FIELDS), after, limit);
  }

  test("random rows, filters and sorts, in pages of any size", {
    timeout: propertyTimeoutMs(120_000),
  }, async () => {
    const rowsOf = fc.array(anyRow, { maxLength: 12 });
    await checkProperty(
      fc.asyncProperty(
        rowsOf,
        anyFilter,
        anySort,
        fc.integer({ min: 1, max: 5 }),
        async (drawn, filter, sort, size) => {
          const rows = drawn.map((row) => ({ ...row, id: randomIds.next(0) }));
          await store(rows);
          const expected = rows
            .filter((row) => matchesRow(filter, row))
            .sort((a, b) => compareRows(sort, a, b));
          const found: string[] = [];
          let after: SortPosition | undefined;
          for (;;) {
            const read = await page(printFilter(filter), sort, after, size);
            found.push(...read.map(({ id }) => id.toString("hex")));
            after = read.at(-1)?.position;
            if (read.length < size) break;
          }
          expect(found).toEqual(expected.map(({ id }) => uuidToBytes(id).toString("hex")));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("signs of LIKE and quotes are plain characters", async () => {
    const names = [
      "100%",
      "a_b",
      "axb",
      "a|b",
      "a*b",
      "O'Brien",
      'say "hi"',
      "back\\slash",
      "Ärger",
      "x';drop",
      "",
    ];
    const base = { role: "owner", verified: true, count: 0, at: undefined } as const;
    await store(names.map((name) => ({ ...base, name, id: randomIds.next(0) })));
    const found = async (filter: string): Promise<string[]> => {
      const ids = (await page(filter, "", undefined, 50)).map(({ id }) => id);
      const rows = await database.reader("people").select("id", "name_key").whereIn("id", ids);
      return names.filter((name) =>
        rows.some((row: { name_key: Buffer }) => row.name_key.toString() === textKey(name)),
      );
    };
    expect(await found("name==*%*")).toEqual(["100%"]);
    expect(await found("name==*_*")).toEqual(["a_b"]);
    expect(await found("name==a_b")).toEqual(["a_b"]);
    expect(await found("name==*|*")).toEqual(["a|b"]);
    expect(await found("name==*\\**")).toEqual(["a*b"]);
    expect(await found("name==a\\*b")).toEqual(["a*b"]);
    expect(await found("name==a*b")).toEqual(["a_b", "axb", "a|b", "a*b"]);
    expect(await found(`name=="o'b*"`)).toEqual(["O'Brien"]);
    expect(await found(`name=='*"*'`)).toEqual(['say "hi"']);
    expect(await found("name=='*\\\\*'")).toEqual(["back\\slash"]);
    expect(await found("name==äRGER")).toEqual(["Ärger"]);
    expect(await found(`name=="x';drop"`)).toEqual(["x';drop"]);
    expect(await found('name==""')).toEqual([""]);
    expect(await found("name==*")).toEqual(names);
    expect(await found("name!=*")).toEqual([]);
    expect(await found("name==*\0*")).toEqual([]);
  });
});

function toColumns({ id, name, role, verified, count, at }: Row) {
  return {
    id: uuidToBytes(id),
    name_key: Buffer.from(textKey(name)),
    role: Buffer.from(role),
    verified: verified ? 1 : 0,
    count,
    at_ms: at ?? null,
  };
}
