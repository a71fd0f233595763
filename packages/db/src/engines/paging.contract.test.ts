// Tests paging through a list during writes: no repeats, no omissions, one instant in a snapshot.
import { ENGINES, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Database,
  id16,
  insertRows,
  instant,
  type OrderColumn,
  pageAfter,
  Schema,
  type Value,
} from "../index.ts";

describe.each(ENGINES)("lists on %s", (engine) => {
  let place: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    place = await openTestDatabase(engine);
    database = place.database;
    await database.transaction((trx) =>
      new Schema(engine, trx).createTable("things", {
        columns: { organization_id: id16(), at_ms: instant(), id: id16() },
        primaryKey: ["organization_id", "id"],
        indexes: { things_by_time: ["organization_id", "at_ms", "id"] },
      }),
    );
  });
  beforeEach(async () => {
    await database.transaction((trx) => trx("things").delete());
    // Five rows share each instant, so that pages end between equal instants.
    await add(Array.from({ length: 100 }, (_, index) => index * 2));
  });
  afterAll(() => place.close());

  const ORDERS: [string, OrderColumn[]][] = [
    ["newest first, ties by id", [desc("at_ms"), asc("id")]],
    ["oldest first", [asc("at_ms"), asc("id")]],
    ["newest first throughout", [desc("at_ms"), desc("id")]],
    ["by three columns", [asc("organization_id"), desc("at_ms"), asc("id")]],
    ["by id", [asc("id")]],
  ];

  test.each(ORDERS)("%s, in pages of any size", async (_name, order) => {
    const whole = await walk(order, 1000, async () => {});
    expect(whole).toHaveLength(100);
    for (const size of [1, 3, 7, 50, 100]) expect(await walk(order, size, async () => {})).toEqual(whole);
  });

  test.each(ORDERS)("%s, while rows come and go", async (_name, order) => {
    const before = await walk(order, 1000, async () => {});
    let step = 0;
    const seen = await walk(order, 7, async () => {
      // Bounded, because rows added ahead lengthen the list.
      if (step === 8) return;
      step += 1;
      await add([step * 13 * 2 + 1]);
      await database.transaction((trx) =>
        trx("things")
          .where("id", id(step * 4))
          .delete(),
      );
    });
    const removed = new Set(Array.from({ length: step }, (_, index) => (index + 1) * 4));
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((number) => number % 2 === 0 && !removed.has(number))).toEqual(
      before.filter((number) => !removed.has(number)),
    );
  });

  test("a snapshot reads one instant, regardless of later commits", async () => {
    await database.snapshot(async (trx) => {
      // The first statement comes after the change, but the snapshot must not contain the change.
      await add([1]);
      await database.transaction((other) => other("things").where("id", id(2)).delete());
      const [counted] = await trx("things").count<{ count: number }[]>({ count: "*" });
      const ids = await trx("things").orderBy("id").pluck<Buffer[]>("id");
      expect(counted?.count).toBe(100);
      expect(ids.map((one) => one.readUInt32BE())).toEqual(
        Array.from({ length: 100 }, (_, index) => index * 2),
      );
    });
    expect(await database.reader("things").where("id", id(2))).toEqual([]);
    expect(await database.reader("things").where("id", id(1))).toHaveLength(1);
  });

  test("a snapshot cannot write", async () => {
    const writing = database.snapshot((trx) => trx("things").delete());
    await expect(writing).rejects.toThrow();
    expect(await database.reader("things").pluck("id")).toHaveLength(100);
  });

  test("open snapshots block neither writers nor readers", async () => {
    const release = Promise.withResolvers<void>();
    const opened = Array.from({ length: 8 }, () => Promise.withResolvers<void>());
    const snapshots = opened.map((one) =>
      database.snapshot(async (trx) => {
        await trx("things").first("id");
        one.resolve();
        await release.promise;
        return trx("things").pluck("id");
      }),
    );
    await Promise.all(opened.map((one) => one.promise));
    await add([1, 3, 5]);
    expect(await database.reader("things").pluck("id")).toHaveLength(103);
    release.resolve();
    for (const ids of await Promise.all(snapshots)) expect(ids).toHaveLength(100);
  });

  async function walk(order: OrderColumn[], size: number, between: () => Promise<void>): Promise<number[]> {
    const seen: number[] = [];
    let last: Value[] | undefined;
    for (;;) {
      const query = database.reader("things").where("organization_id", ORGANIZATION).limit(size);
      const page = await pageAfter(query, order, last).select<Record<string, Value>[]>(
        "organization_id",
        "at_ms",
        "id",
      );
      seen.push(...page.map((row) => (row.id as Buffer).readUInt32BE()));
      const end = page.at(-1);
      if (end === undefined) return seen;
      if (seen.length > 1000) throw new Error("the walk does not end");
      last = order.map(({ column }) => end[column] ?? null);
      await between();
    }
  }

  async function add(numbers: readonly number[]): Promise<void> {
    const rows = numbers.map((number) => [ORGANIZATION, Math.floor(number / 10), id(number)]);
    await database.transaction((trx) =>
      insertRows(trx, "things", ["organization_id", "at_ms", "id"], rows, "fail", ["organization_id", "id"]),
    );
  }
});

const ORGANIZATION = Buffer.alloc(16, 1);

function id(number: number): Buffer {
  const buffer = Buffer.alloc(16, 0xee);
  buffer.writeUInt32BE(number);
  return buffer;
}

function asc(column: string): OrderColumn {
  return { column, direction: "asc" };
}

function desc(column: string): OrderColumn {
  return { column, direction: "desc" };
}
