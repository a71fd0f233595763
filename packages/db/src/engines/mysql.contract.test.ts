// Tests what only a server does: deadlocks, snapshot errors, broken connections.
import { freePort, openTestDatabase, type TestDatabase, waitFor } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  createDatabaseIfAbsent,
  type Database,
  integer,
  openMysql,
  Schema,
  type Transaction,
} from "../index.ts";

let place: TestDatabase;
let database: Database;

beforeAll(async () => {
  place = await openTestDatabase("mysql");
  database = place.database;
  await database.transaction((trx) =>
    new Schema("mysql", trx).createTable("counters", {
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

describe("a deadlock", () => {
  test("makes one of two transactions run again, and both commit", async () => {
    const attempts = await deadlock(async (trx, second) => {
      await bump(trx, second);
    });
    expect(attempts).toBe(3);
    expect(await values(database)).toEqual([2, 2]);
  });

  test("that the body ignores does not let it write outside of a transaction", async () => {
    const attempts = await deadlock(async (trx, second, attempt) => {
      await bump(trx, second).catch(() => {});
      // After the server's rollback this would commit at once, even if the body fails.
      await trx("counters")
        .insert({ id: 100 * second + attempt, value: 0 })
        .catch(() => {});
    });
    expect(attempts).toBe(3);
    expect(await values(database)).toEqual([2, 2, 0, 0]);
  });

  /** Two transactions lock rows 1 and 2 in opposite order. Resolves to the number of runs. */
  async function deadlock(
    then: (trx: Transaction, second: number, attempt: number) => Promise<void>,
  ): Promise<number> {
    let attempts = 0;
    let holding = 0;
    const run = (first: number, second: number): Promise<void> => {
      let attempt = 0;
      return database.transaction(async (trx) => {
        attempts += 1;
        attempt += 1;
        await bump(trx, first);
        holding += 1;
        await waitFor(() => holding >= 2);
        await then(trx, second, attempt);
      });
    };
    await Promise.all([run(1, 2), run(2, 1)]);
    return attempts;
  }
});

describe("with innodb_snapshot_isolation, as MariaDB has it from 11.6 on", () => {
  test("READ COMMITTED has no snapshot error", async () => {
    if (!(await isMariadb())) return;
    const strict = await place.openAnother({
      mysql: { sessionStatements: ["SET SESSION innodb_snapshot_isolation = ON"] },
    });
    expect(await readThenUpdate(strict)).toBe(1);
    expect(await values(database)).toEqual([101, 0]);
  });

  test("a snapshot error runs the transaction again", async () => {
    if (!(await isMariadb())) return;
    const strict = await place.openAnother({
      mysql: {
        sessionStatements: [
          "SET SESSION innodb_snapshot_isolation = ON",
          "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        ],
      },
    });
    expect(await readThenUpdate(strict)).toBe(2);
    expect(await values(database)).toEqual([101, 0]);
  });

  async function readThenUpdate(strict: Database): Promise<number> {
    let attempts = 0;
    await strict.transaction(async (trx) => {
      attempts += 1;
      await values(trx);
      if (attempts === 1) {
        await database.transaction(async (theirs) => {
          await theirs("counters").where("id", 1).increment("value", 100);
        });
      }
      await bump(trx, 1);
    });
    return attempts;
  }

  async function isMariadb(): Promise<boolean> {
    const [rows] = await database.reader.raw<{ version: string }[][]>("SELECT VERSION() AS version");
    return rows?.[0]?.version.includes("MariaDB") === true;
  }
});

describe("a connection", () => {
  test("killed within a transaction makes it UNAVAILABLE and rolls it back; the next one works", async () => {
    const broken = database.transaction(async (trx) => {
      await bump(trx, 1);
      const [rows] = await trx.raw<{ id: number }[][]>("SELECT CONNECTION_ID() AS id");
      await database.transaction((other) => other.raw(`KILL ${rows?.[0]?.id}`));
      await bump(trx, 2);
    });
    await expect(broken).rejects.toMatchObject({ name: "AppError", reason: "UNAVAILABLE" });
    await database.transaction((trx) => bump(trx, 2));
    expect(await values(database)).toEqual([0, 1]);
  });

  test("killed while idle is replaced without an error", async () => {
    const idle = await place.openAnother();
    const [rows] = await idle.reader.raw<{ id: number }[][]>("SELECT CONNECTION_ID() AS id");
    const id = rows?.[0]?.id;
    await database.transaction((trx) => trx.raw(`KILL ${id}`));
    await waitFor(async () => {
      const [left] = await database.reader.raw<unknown[][]>(
        "SELECT 1 FROM information_schema.processlist WHERE id = ?",
        [id ?? 0],
      );
      return left?.length === 0;
    });
    await expect(idle.ping()).resolves.toBeUndefined();
  });

  test("to an absent server is UNAVAILABLE, and the reason is only in the cause", async () => {
    const url = `mysql://root:secret@127.0.0.1:${await freePort()}/muster`;
    const away = await openMysql({ url });
    for (const call of [
      away.ping(),
      away.transaction(async () => {}),
      away.reader("counters").select("id"),
    ]) {
      const error: unknown = await call.then(
        () => undefined,
        (caught: unknown) => caught,
      );
      expect(error).toMatchObject({ name: "AppError", reason: "UNAVAILABLE", retryAfterMs: 1000 });
      expect(String(error)).not.toMatch(/ECONN|127|secret|root/);
    }
    await expect(createDatabaseIfAbsent(url, "muster")).rejects.toMatchObject({ reason: "UNAVAILABLE" });
    await away.close();
  });

  test("of the reader rejects writes", async () => {
    await expect(database.reader("counters").insert({ id: 3, value: 0 })).rejects.toThrow(/READ ONLY/);
    expect(await values(database)).toEqual([0, 0]);
  });
});

test("a database is created once, with binary names", async () => {
  const [rows] = await database.reader.raw<[{ charset: string; collation: string }[]]>(
    "SELECT @@character_set_database AS charset, @@collation_database AS collation",
  );
  expect(rows).toEqual([{ charset: "utf8mb4", collation: "utf8mb4_bin" }]);
  await expect(createDatabaseIfAbsent("mysql://root@127.0.0.1:1", "x`; DROP DATABASE y")).rejects.toThrow(
    /not a valid database name/,
  );
});

async function bump(trx: Transaction, id: number): Promise<void> {
  await trx("counters").where("id", id).increment("value", 1);
}

async function values(source: Database | Transaction): Promise<number[]> {
  const queryable = "reader" in source ? source.reader : source;
  return queryable("counters").orderBy("id").pluck<number[]>("value");
}
