// Tests that prepared queries return the same values as the query builder, inside their transaction.
import { ENGINES, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytes, id16, insertRows, integer, paddedValues, Schema, selectPrepared } from "../index.ts";

describe.each(ENGINES)("selectPrepared on %s", (engine) => {
  let place: TestDatabase;

  beforeAll(async () => {
    place = await openTestDatabase(engine);
    await place.database.transaction(async (trx) => {
      await new Schema(engine, trx).createTable("named", {
        columns: { id: id16(), name: bytes(255), total: integer() },
        primaryKey: ["id", "name"],
      });
    });
  });

  afterAll(() => place.close());

  test("finds rows that its own transaction has written, byte for byte", async () => {
    const id = Buffer.alloc(16, 7);
    const names = ["a", "a ", "A", "013", "13"].map((name) => Buffer.from(name));
    const sql = "select name, total from named where id = ? and name in (?, ?, ?, ?) order by name";
    const found = await place.database.transaction(async (trx) => {
      const rows = names.map((name, index) => [id, name, 2 ** 52 + index]);
      await insertRows(trx, "named", ["id", "name", "total"], rows, "fail", ["id", "name"]);
      const padded = paddedValues([Buffer.from("a "), Buffer.from("013"), Buffer.from("b")]);
      return selectPrepared<{ name: Buffer; total: number }>(trx, sql, [id, ...padded]);
    });
    expect(found.map(({ name, total }) => [name.toString(), total])).toEqual([
      ["013", 2 ** 52 + 3],
      ["a ", 2 ** 52 + 1],
    ]);
  });

  test("rejects an invalid statement, and the transaction writes nothing", async () => {
    const writing = place.database.transaction(async (trx) => {
      const row = [Buffer.alloc(16, 8), Buffer.from("x"), 1];
      await insertRows(trx, "named", ["id", "name", "total"], [row], "fail", ["id", "name"]);
      await selectPrepared(trx, "select nothing from nowhere where id = ?", [Buffer.alloc(16)]);
    });
    await expect(writing).rejects.toThrow();
    expect(await place.database.reader("named").where("name", Buffer.from("x"))).toEqual([]);
  });
});

test("an IN list has few sizes, and finds no other rows", () => {
  expect(paddedValues([])).toEqual([]);
  expect(paddedValues(["a"])).toEqual(["a"]);
  expect(paddedValues(["a", "b", "c"])).toEqual(["a", "b", "c", "c"]);
  expect(paddedValues(Array.from({ length: 500 }, (_, n) => `${n}`))).toHaveLength(512);
});
