// Tests that consecutive reads of SQLite let other work of the process run.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Database, openSqlite, type Queryable, selectPrepared, type Transaction } from "../index.ts";

/** Enough that the statements take several slices on any machine. */
const STATEMENTS = 400;
/** A statement of a fraction of a millisecond. */
const COUNT =
  "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT MAX(i) FROM n";

let folder: string;
let database: Database;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "muster-test-"));
  database = await openSqlite({ path: join(folder, "service.sqlite") });
});
afterEach(async () => {
  await database.close();
  rmSync(folder, { recursive: true });
});

/** The turns of the event loop while the body runs, without those that start it. */
async function turnsDuring(body: () => Promise<void>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const count = (): void => {
    turns += 1;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  await body();
  isDone = true;
  return turns;
}

async function query(db: Queryable): Promise<void> {
  for (let index = 0; index < STATEMENTS; index += 1) await db.raw(COUNT);
}

test("reads one after the other", async () => {
  expect(await turnsDuring(() => query(database.reader))).toBeGreaterThan(5);
});

test("statements of a snapshot", async () => {
  expect(await turnsDuring(() => database.snapshot(query))).toBeGreaterThan(5);
});

test("prepared reads of a snapshot", async () => {
  const read = async (trx: Transaction): Promise<void> => {
    for (let index = 0; index < STATEMENTS; index += 1) await selectPrepared(trx, COUNT, []);
  };
  expect(await turnsDuring(() => database.snapshot(read))).toBeGreaterThan(5);
});
