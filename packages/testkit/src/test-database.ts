// Creates a separate database for a test file, on either engine.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createDatabaseIfAbsent,
  type Database,
  dropDatabase,
  type Engine,
  type MysqlOptions,
  migrate,
  openMysql,
  openSqlite,
  type SqliteOptions,
} from "@muster/db";
import { testMysqlUrl } from "./servers/test-servers.ts";

/** For `describe.each`: a test of an engine must run on both. */
export const ENGINES: readonly Engine[] = ["sqlite", "mysql"];

export interface TestDatabase {
  readonly database: Database;
  /** Parameters of openSqlite or openMysql for another process. */
  readonly location: SqliteOptions | MysqlOptions;
  /** A second, independent connection pool on the same data; to the engine it is another process. */
  openAnother(options?: TestDatabaseOptions): Promise<Database>;
  /** Closes every pool and drops the data. */
  close(): Promise<void>;
}

export interface TestDatabaseOptions {
  readonly sqlite?: Partial<SqliteOptions>;
  readonly mysql?: Partial<MysqlOptions>;
}

export async function openTestDatabase(
  engine: Engine,
  migrations?: URL,
  options: TestDatabaseOptions = {},
): Promise<TestDatabase> {
  const place = engine === "sqlite" ? await sqliteFolder() : await mysqlDatabase();
  const opened: Database[] = [];
  const openAnother = async (more: TestDatabaseOptions = {}): Promise<Database> => {
    const database = await place.open(more);
    opened.push(database);
    return database;
  };
  const database = await openAnother(options);
  if (migrations !== undefined) await migrate(database, migrations);
  return {
    database,
    location: place.location,
    openAnother,
    async close() {
      await Promise.all(opened.map((one) => one.close()));
      await place.remove();
    },
  };
}

interface Place {
  readonly location: SqliteOptions | MysqlOptions;
  open(options: TestDatabaseOptions): Promise<Database>;
  remove(): Promise<void>;
}

async function sqliteFolder(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "muster-test-"));
  const location = { path: join(folder, "test.sqlite") };
  return {
    location,
    open: (options) => openSqlite({ ...options.sqlite, ...location }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function mysqlDatabase(): Promise<Place> {
  const url = await testMysqlUrl();
  const name = `muster_test_${randomBytes(8).toString("hex")}`;
  await createDatabaseIfAbsent(url, name);
  const location = { url, database: name };
  return {
    location,
    open: (options) => openMysql({ ...options.mysql, ...location }),
    remove: () => dropDatabase(url, name),
  };
}
