// Tests the guarantees of transactions on every engine: atomic, retried after a conflict, bounded, and
// without driver messages.
import { AppError } from "@muster/errors";
import { ENGINES, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Database, forUpdate, integer, Schema, type Transaction } from "../index.ts";

describe.each(ENGINES)("transactions on %s", (engine) => {
  let place: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    place = await openTestDatabase(engine);
    database = place.database;
    await database.transaction((trx) =>
      new Schema(engine, trx).createTable("counters", {
        columns: { id: integer(), value: integer() },
        primaryKey: ["id"],
      }),
    );
  });
  beforeEach(async () => {
    await database.transaction(async (trx) => {
      await trx("counters").delete();
      await trx("counters").insert([
        { id: 1, value: 0 },
        { id: 2, value: 0 },
      ]);
    });
  });
  afterAll(() => place.close());

  test("the body's result is the transaction's", async () => {
    const result = await database.transaction(async (trx) => {
      await bump(trx, 1);
      return "done";
    });
    expect([result, await values(database)]).toEqual(["done", [1, 0]]);
  });

  test("an error in the body rolls everything back and is rethrown unchanged", async () => {
    const error = new Error("from the body");
    const failing = database.transaction(async (trx) => {
      await bump(trx, 1);
      await bump(trx, 2);
      throw error;
    });
    await expect(failing).rejects.toBe(error);
    expect(await values(database)).toEqual([0, 0]);
  });

  test("a transaction that has ended accepts no statements", async () => {
    let kept: Transaction | undefined;
    await database.transaction(async (trx) => {
      kept = trx;
    });
    await expect(kept?.raw("SELECT 1")).rejects.toThrow();
  });

  test("uncommitted changes are invisible to others", async () => {
    await database.transaction(async (trx) => {
      await bump(trx, 1);
      expect(await values(database)).toEqual([0, 0]);
      expect(await database.snapshot(values)).toEqual([0, 0]);
      expect(await values(trx)).toEqual([1, 0]);
    });
    expect(await values(database)).toEqual([1, 0]);
  });

  test("transactions on one row run one after the other, from any process", async () => {
    const other = await place.openAnother();
    const increments = Array.from({ length: 40 }, (_, index) =>
      (index % 2 === 0 ? database : other).transaction(async (trx) => {
        const [row] = await forUpdate(trx, trx("counters").where("id", 1)).select<{ value: number }[]>(
          "value",
        );
        await trx("counters")
          .where("id", 1)
          .update({ value: (row?.value ?? 0) + 1 });
      }),
    );
    await Promise.all(increments);
    expect(await values(database)).toEqual([40, 0]);
  });

  test("an UPDATE counts matched rows, changed or not", async () => {
    await database.transaction(async (trx) => {
      expect(await trx("counters").where({ id: 1, value: 0 }).update({ value: 0 })).toBe(1);
      expect(await trx("counters").where({ id: 1, value: 9 }).update({ value: 0 })).toBe(0);
    });
  });

  test("endless conflicts become UNAVAILABLE, with a retry time and without driver text", async () => {
    const impatient = await place.openAnother({
      sqlite: { retry: { attemptsMax: 3, pauseMsMin: 1 } },
      mysql: { retry: { attemptsMax: 2, pauseMsMin: 1 }, bounds: { lockWaitSeconds: 1 } },
    });
    let attempts = 0;
    await database.transaction(async (trx) => {
      await bump(trx, 1);
      const blocked = impatient.transaction(async (theirs) => {
        attempts += 1;
        await bump(theirs, 1);
      });
      const error: unknown = await blocked.catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(AppError);
      expect(error).toMatchObject({ reason: "UNAVAILABLE", retryAfterMs: 1000 });
      expect((error as AppError).message).not.toMatch(/sqlite|lock|busy|mysql|update|counters/i);
    });
    // SQLite's BEGIN IMMEDIATE fails already, so the body does not run.
    expect(attempts).toBe(engine === "sqlite" ? 0 : 2);
    expect(await values(database)).toEqual([1, 0]);
  });

  test("waiting for a connection ends", async () => {
    const small = await place.openAnother({
      sqlite: { acquireTimeoutMs: 50 },
      mysql: { acquireTimeoutMs: 50, poolMax: 2 },
    });
    const held = Promise.withResolvers<void>();
    const holders = [0, 1].map(() => small.transaction(() => held.promise));
    if (engine === "sqlite") holders.pop()?.catch(() => {});
    const late = small.transaction(async () => {});
    await expect(late).rejects.toMatchObject({ name: "AppError", reason: "UNAVAILABLE" });
    held.resolve();
    await Promise.all(holders);
  });

  test("after close every call fails with an error", async () => {
    const closed = await place.openAnother();
    await closed.close();
    await expect(closed.ping()).rejects.toMatchObject({ reason: "UNAVAILABLE" });
    await expect(closed.transaction(async () => {})).rejects.toMatchObject({ reason: "UNAVAILABLE" });
  });
});

async function bump(trx: Transaction, id: number): Promise<void> {
  await trx("counters").where("id", id).increment("value", 1);
}

async function values(source: Database | Transaction): Promise<number[]> {
  const queryable = "reader" in source ? source.reader : source;
  return queryable("counters").orderBy("id").pluck<number[]>("value");
}
