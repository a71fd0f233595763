// Tests the bulk path with every number of rows and every kind of conflict.
import { ENGINES, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  blob,
  bytes,
  type Database,
  id16,
  insertRows,
  integer,
  json,
  type OnConflict,
  Schema,
  type Value,
} from "../index.ts";

const COLUMNS = ["id", "name", "total", "latest", "document"];

describe.each(ENGINES)("insertRows on %s", (engine) => {
  let place: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    place = await openTestDatabase(engine);
    database = place.database;
    await database.transaction(async (trx) => {
      const schema = new Schema(engine, trx);
      await schema.createTable("totals", {
        columns: { id: id16(), name: bytes(255), total: integer(), latest: integer(), document: json() },
        primaryKey: ["id", "name"],
      });
      await schema.createTable("growing", {
        columns: { id: id16(), name: bytes(255), total: integer(), latest: integer(), bytes: blob() },
        primaryKey: ["id", "name"],
      });
      const wide = Array.from({ length: 120 }, (_, index) => [`c${index}`, integer()] as const);
      await schema.createTable("wide", { columns: Object.fromEntries(wide), primaryKey: ["c0"] });
    });
  });
  beforeEach(() => database.transaction((trx) => trx("totals").delete()));
  afterAll(() => place.close());

  const SIZES = [0, 1, 2, 63, 511, 512, 513, 1200, 5000];

  test.each(SIZES)("%i new rows", async (size) => {
    await insert(rows(size, 1), "fail");
    expect(await stored()).toEqual(rows(size, 1));
  });

  test.each(SIZES)("%i rows of which every second is there: keep, overwrite and add", async (size) => {
    const old = rows(size, 1).filter((_, index) => index % 2 === 0);
    const expected = (there: (row: Value[]) => Value[]): Value[][] =>
      rows(size, 100).map((row, index) => (index % 2 === 0 ? there(row) : row));

    await insert(old, "fail");
    await insert(rows(size, 100), "keep");
    expect(await stored()).toEqual(expected((row) => [row[0] ?? null, row[1] ?? null, 1, 1, '{"n":1}']));

    await reset(old);
    await insert(rows(size, 100), { overwrite: ["latest", "document"] });
    expect(await stored()).toEqual(expected((row) => [row[0] ?? null, row[1] ?? null, 1, 100, '{"n":100}']));

    await reset(old);
    await insert(rows(size, 100), { add: ["total"] });
    expect(await stored()).toEqual(expected((row) => [row[0] ?? null, row[1] ?? null, 101, 1, '{"n":1}']));

    await reset(old);
    await insert(rows(size, 100), { add: ["total"], overwrite: ["latest"] });
    expect(await stored()).toEqual(expected((row) => [row[0] ?? null, row[1] ?? null, 101, 100, '{"n":1}']));
  });

  test.each([1, 3, 64, 67])("%i rows whose bytes grow at their end", async (size) => {
    const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const grown = (bytes: Buffer) =>
      rows(size, 1).map((row): Value[] => [row[0] ?? null, row[1] ?? null, 1, 1, bytes]);
    const columns = ["id", "name", "total", "latest", "bytes"];
    const put = (bytes: Buffer) =>
      database.transaction((trx) =>
        insertRows(trx, "growing", columns, grown(bytes), { add: ["total"], append: ["bytes"] }, [
          "id",
          "name",
        ]),
      );
    await database.transaction((trx) => trx("growing").delete());
    for (const bytes of [everyByte, Buffer.alloc(0), everyByte.subarray(128)]) await put(bytes);
    const found = await database
      .reader("growing")
      .orderBy(["id", "name"])
      .select<Record<string, Value>[]>(columns);
    const whole = Buffer.concat([everyByte, everyByte.subarray(128)]);
    expect(found.map((row) => Object.values(row))).toEqual(grown(whole).map((row) => row.with(2, 3)));
  });

  test("a key that occurs twice in one call is applied in order", async () => {
    const [row = []] = rows(1, 1);
    await insert([row, row, row], { add: ["total"], overwrite: ["latest"] });
    expect(await stored()).toEqual([[row[0], row[1], 3, 1, row[4]]]);
  });

  test("sums stay whole numbers up to 2^53", async () => {
    const [row = []] = rows(1, 2 ** 52);
    await insert([row], "fail");
    await insert([row.with(2, 2 ** 52 - 1)], { add: ["total"] });
    expect(await stored()).toEqual([row.with(2, 2 ** 53 - 1)]);
  });

  test("rows of 120 columns", async () => {
    const columns = Array.from({ length: 120 }, (_, index) => `c${index}`);
    const values = Array.from({ length: 600 }, (_, row) => columns.map((_name, index) => row * 1000 + index));
    await database.transaction((trx) => insertRows(trx, "wide", columns, values, "fail", ["c0"]));
    const found = await database.reader("wide").orderBy("c0").select<Record<string, number>[]>(columns);
    expect(found.map((row) => Object.values(row))).toEqual(values);
  });

  test("many large rows stay under the server's packet size", async () => {
    const large = rows(300, 1).map((row) => row.with(4, JSON.stringify("x".repeat(128 * 1024))));
    await insert(large, "fail");
    const lengths = await database
      .reader("totals")
      .sum({ bytes: database.reader.raw("LENGTH(document)") })
      .first();
    expect(lengths).toEqual({ bytes: 300 * (128 * 1024 + 2) });
  });

  test("any bytes and texts are read back unchanged, for any number of rows", async () => {
    const everyByte = Buffer.from(Array.from({ length: 254 }, (_, index) => 255 - index));
    const hostile = [
      `'"\\ \0 \n \u001a ? ?? :a :a: %s \u2028 👩‍👧 '); DROP TABLE totals; -- `,
      "\\",
      "'",
      "",
    ];
    for (const size of [1, 3, 7, 64, 67]) {
      await database.transaction((trx) => trx("totals").delete());
      const odd = rows(size, 1).map((row, index) => [
        row[0] ?? null,
        // The index comes first, because rows are read back by it.
        Buffer.concat([Buffer.from([index]), everyByte]),
        -(2 ** 53 - 1),
        2 ** 53 - 1,
        JSON.stringify({ a: hostile[index % 4] }) + (hostile[index % 4] ?? ""),
      ]);
      await insert(odd, "fail");
      expect(await stored()).toEqual(odd);
    }
  });

  test("two concurrent upserts of the same sorted keys both succeed", async () => {
    const other = await place.openAnother();
    const counters = rows(200, 1);
    await Promise.all(
      [database, other, database, other].map((one) =>
        one.transaction((trx) =>
          insertRows(trx, "totals", COLUMNS, counters, { add: ["total"] }, ["id", "name"]),
        ),
      ),
    );
    expect((await stored()).map((row) => row[2])).toEqual(Array(200).fill(4));
  });

  test("writes nothing after the end of its transaction", async () => {
    const ended = await database.transaction(async (trx) => ({ trx }));
    const late = insertRows(ended.trx, "totals", COLUMNS, rows(1, 1), "fail", ["id", "name"]);
    await expect(late).rejects.toThrow(/after the end/);
    await expect(insert([rows(1, 1)[0]?.slice(1) ?? []], "fail")).rejects.toThrow(/wrong length/);
    expect(await stored()).toEqual([]);
  });

  async function insert(values: readonly (readonly Value[])[], onConflict: OnConflict): Promise<void> {
    await database.transaction((trx) =>
      insertRows(trx, "totals", COLUMNS, values, onConflict, ["id", "name"]),
    );
  }

  async function reset(values: readonly (readonly Value[])[]): Promise<void> {
    await database.transaction((trx) => trx("totals").delete());
    await insert(values, "fail");
  }

  async function stored(): Promise<Value[][]> {
    const found = await database
      .reader("totals")
      .orderBy(["id", "name"])
      .select<Record<string, Value>[]>(COLUMNS);
    return found.map((row) => COLUMNS.map((column) => row[column] ?? null));
  }
});

/** Rows sorted by key. Ids contain bytes that are not UTF-8. */
function rows(size: number, value: number): Value[][] {
  return Array.from({ length: size }, (_, index) => {
    const id = Buffer.alloc(16, 0xc3);
    id.writeUInt32BE(index >> 1);
    return [id, Buffer.from(index % 2 === 0 ? "A" : "a "), value, value, JSON.stringify({ n: value })];
  });
}
