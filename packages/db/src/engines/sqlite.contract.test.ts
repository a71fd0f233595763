// Tests what only a file has: modes, rights, a full disk.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Knex, knex } from "knex";
import { afterEach, beforeEach, expect, test } from "vitest";
import { blob, type Database, integer, openSqlite, Schema } from "../index.ts";
import { silentKnexLog } from "./knex-internals.ts";
import { SqliteClient } from "./sqlite-client.ts";

let folder: string;
let path: string;
let database: Database;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "muster-test-"));
  path = join(folder, "service.sqlite");
  database = await openSqlite({ path });
  await database.transaction((trx) =>
    new Schema("sqlite", trx).createTable("things", {
      columns: { id: integer(), data: blob() },
      primaryKey: ["id"],
    }),
  );
});
afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true });
});

test("a commit is synced, the log is large, and only the owner may read the file", async () => {
  const pragmas = await database.transaction(async (trx) => ({
    ...(await trx.raw<object[]>("PRAGMA journal_mode"))[0],
    ...(await trx.raw<object[]>("PRAGMA synchronous"))[0],
    ...(await trx.raw<object[]>("PRAGMA wal_autocheckpoint"))[0],
    ...(await trx.raw<object[]>("PRAGMA foreign_keys"))[0],
    ...(await trx.raw<object[]>("PRAGMA secure_delete"))[0],
    ...(await trx.raw<object[]>("PRAGMA journal_size_limit"))[0],
  }));
  expect(pragmas).toEqual({
    journal_mode: "wal",
    synchronous: 2,
    wal_autocheckpoint: 16_000,
    foreign_keys: 0,
    secure_delete: 1,
    journal_size_limit: 64 * 1024 * 1024,
  });
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("the reader cannot write", async () => {
  await expect(database.reader("things").insert({ id: 1, data: Buffer.alloc(1) })).rejects.toMatchObject({
    reason: "UNAVAILABLE",
  });
  expect(await database.reader("things").select("id")).toEqual([]);
});

test("a full disk is UNAVAILABLE, rolls the transaction back and ends with it", async () => {
  const full = database.transaction(async (trx) => {
    await trx.raw("PRAGMA max_page_count = 20");
    await trx("things").insert({ id: 1, data: Buffer.alloc(10) });
    await trx("things").insert({ id: 2, data: Buffer.alloc(1_000_000) });
  });
  await expect(full).rejects.toMatchObject({ name: "AppError", reason: "UNAVAILABLE" });
  expect(await database.reader("things").select("id")).toEqual([]);
  await database.transaction(async (trx) => {
    await trx.raw("PRAGMA max_page_count = 1000000");
    await trx("things").insert({ id: 2, data: Buffer.alloc(1_000_000) });
  });
  expect(await database.reader("things").select("id")).toEqual([{ id: 2 }]);
});

test("a value of another type than its column is rejected", async () => {
  const text = database.transaction((trx) => trx("things").insert({ id: 1, data: "text" }));
  await expect(text).rejects.toThrow(/cannot store TEXT value in BLOB column/);
});

test("closing writes the log back, so that one file is the whole database", async () => {
  await database.transaction((trx) => trx("things").insert({ id: 1, data: Buffer.alloc(100_000) }));
  expect(existsSync(`${path}-wal`)).toBe(true);
  await database.close();
  expect(existsSync(`${path}-wal`)).toBe(false);
  database = await openSqlite({ path });
  expect(await database.reader("things").select("id")).toEqual([{ id: 1 }]);
});

test("deleted data leaves the files, as soon as no reader uses the log", async () => {
  const secret = "a-secret-of-somebody";
  const insert = (id: number) => ({ id, data: Buffer.from(secret.repeat(20)) });
  await database.transaction((trx) =>
    trx("things").insert(Array.from({ length: 100 }, (_, id) => insert(id))),
  );
  await database.removeDeletedData();
  await database.transaction((trx) => trx("things").where("id", ">=", 10).delete());
  await database.transaction((trx) => trx("things").update({ data: Buffer.from("short") }));
  expect(filesWith(secret)).toEqual(["service.sqlite", "service.sqlite-wal"]);

  const reading = Promise.withResolvers<void>();
  const read = database.snapshot(async (trx) => {
    await trx("things").select("id");
    await reading.promise;
    return trx("things").select("id");
  });
  await database.transaction((trx) => trx("things").insert({ id: 200, data: Buffer.alloc(1) }));
  let isRemoved = false;
  const removed = database.removeDeletedData().then(() => {
    isRemoved = true;
  });
  // A commit takes the writer between two attempts.
  await database.transaction((trx) => trx("things").insert({ id: 201, data: Buffer.alloc(1) }));
  expect(isRemoved).toBe(false);
  reading.resolve();
  expect(await read).toHaveLength(10);
  await removed;
  expect(filesWith(secret)).toEqual([]);
});

function filesWith(text: string): string[] {
  return readdirSync(folder).filter((name) => readFileSync(join(folder, name)).includes(text));
}

test("a connection whose COMMIT failed is not reused", async () => {
  const pool = knex({
    client: SqliteClient as unknown as typeof Knex.Client,
    connection: { filename: join(folder, "other.sqlite") },
    useNullAsDefault: true,
    log: silentKnexLog,
    pool: { min: 0, max: 1 },
  });
  // The only way to make SQLite reject a COMMIT and keep the transaction open.
  await pool.raw("PRAGMA foreign_keys = ON");
  await pool.raw("CREATE TABLE parents (id INTEGER PRIMARY KEY)");
  await pool.raw("CREATE TABLE children (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)");
  await expect(pool.transaction((trx) => trx("children").insert({ id: 1 }))).rejects.toThrow(/FOREIGN KEY/);
  await pool.transaction((trx) => trx("parents").insert({ id: 2 }));
  expect([await pool("children").pluck("id"), await pool("parents").pluck("id")]).toEqual([[], [2]]);
  await pool.destroy();
});

test("a missing folder is an error at once", async () => {
  await expect(openSqlite({ path: join(folder, "absent", "x.sqlite") })).rejects.toThrow(/ENOENT/);
});
