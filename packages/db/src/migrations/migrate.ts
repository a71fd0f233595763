// Migrates a schema to the newest version. Migrations are numbered and forward only; repeated and concurrent
// runs are safe.
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type Clock, PlainError, systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import { insertRows } from "../engines/insert-rows.ts";
import type { Database, Transaction } from "../port/database.ts";
import { TransactionConflict } from "../port/database-errors.ts";
import { instant, integer, Schema, text } from "./schema.ts";

/** The export of a file `0001_name.ts` in a migrations folder. */
export interface Migration {
  up(schema: Schema): Promise<void>;
}

export interface MigrationOptions {
  readonly clock?: Clock;
  /** Called for every migration once it is applied. */
  readonly onApplied?: (migration: MigrationStatus) => void;
}

export interface MigrationStatus {
  readonly number: number;
  readonly name: string;
  /** Undefined if the migration is not applied. */
  readonly appliedMs: number | undefined;
}

/**
 * The database was migrated by another version: a recorded migration is absent here, or has another name. No
 * upgrade exists, so the database must be deleted or moved.
 */
export class UnknownMigration extends PlainError {
  override name = "UnknownMigration";
  /** Name of the first such migration in the database. */
  readonly migration: string;

  constructor(migration: string) {
    super(`the database has the migration ${migration}, which this version does not have`);
    this.migration = migration;
  }
}

export interface MigrationFile {
  readonly number: number;
  readonly name: string;
  readonly url: string;
}

const TABLE = "schema_migrations";
const LOCK_TABLE = "schema_migration_lock";
/** Longest wait for another process that migrates: it may be building an index. */
const WAIT_MS_MAX = 600_000;
const WAIT_STEP_MS = 100;

/**
 * Applies missing migrations in numerical order. Independent changes reserve numbers beforehand, so a
 * lower number may come later. Resolves to the numbers of the applied migrations. Rejects with
 * UnknownMigration, and changes nothing, if another version has migrated the database.
 */
export async function migrate(
  database: Database,
  folder: URL,
  options: MigrationOptions = {},
): Promise<number[]> {
  const files = await migrationFiles(folder);
  const clock = options.clock ?? systemClock;
  requireKnown(files, await appliedMigrations(database));
  await whenFree(
    database,
    clock,
    (trx) => createTables(new Schema(database.engine, trx)),
    async () => {},
  );
  const done: number[] = [];
  await exclusively(database, clock, async (checkLock) => {
    for (const file of files) {
      await checkLock();
      const appliedMs = await applyOnce(database, file, clock);
      if (appliedMs === undefined) continue;
      done.push(file.number);
      options.onApplied?.({ number: file.number, name: file.name, appliedMs });
    }
  });
  return done;
}

/**
 * Returns every migration of the folder and when it was applied. Changes nothing. Rejects with UnknownMigration
 * as `migrate` does.
 */
export async function migrationStatus(database: Database, folder: URL): Promise<MigrationStatus[]> {
  const files = await migrationFiles(folder);
  const applied = await appliedMigrations(database);
  requireKnown(files, applied);
  return files.map(({ number, name }) => ({ number, name, appliedMs: applied.get(number)?.appliedMs }));
}

/** Returns the recorded migrations by number. */
export async function appliedMigrations(
  database: Database,
): Promise<Map<number, { name: string; appliedMs: number }>> {
  if (!(await hasTable(database, TABLE))) return new Map();
  const rows = await database
    .reader(TABLE)
    .select<{ number: number; name: string; applied_ms: number }[]>("number", "name", "applied_ms")
    .orderBy("number");
  return new Map(rows.map((row) => [row.number, { name: row.name, appliedMs: row.applied_ms }]));
}

function requireKnown(
  files: readonly MigrationFile[],
  applied: ReadonlyMap<number, { readonly name: string }>,
): void {
  const names = new Map(files.map(({ number, name }) => [number, name]));
  for (const [number, { name }] of applied) {
    if (names.get(number) !== name) throw new UnknownMigration(name);
  }
}

async function hasTable(database: Database, table: string): Promise<boolean> {
  return database.reader.schema.hasTable(table);
}

async function createTables(schema: Schema): Promise<void> {
  await schema.createTable(TABLE, {
    columns: { number: integer(), name: text(200), applied_ms: instant() },
    primaryKey: ["number"],
  });
  await schema.createTable(LOCK_TABLE, { columns: { id: integer() }, primaryKey: ["id"] });
  // Read first, because an upsert would wait for the owner of the lock.
  const row: unknown = await schema.trx(LOCK_TABLE).where("id", 1).first("id");
  if (row === undefined) await insertRows(schema.trx, LOCK_TABLE, ["id"], [[1]], "keep", ["id"]);
}

/**
 * Runs `body` while no other process migrates. On MySQL a row lock on a separate connection protects the run;
 * a crash releases the lock. On SQLite each migration is a transaction of the only writer, so no lock is
 * needed.
 */
async function exclusively(
  database: Database,
  clock: Clock,
  body: (checkLock: () => Promise<void>) => Promise<void>,
): Promise<void> {
  if (database.engine === "sqlite") return body(async () => {});
  // Locked again before each migration, so that a lock lost with its connection stops the run.
  await whenFree(database, clock, lock, (trx) => body(() => lock(trx)));
}

/** Runs a transaction whose `enter` may wait long for another process that migrates. */
async function whenFree<T>(
  database: Database,
  clock: Clock,
  enter: (trx: Transaction) => Promise<void>,
  body: (trx: Transaction) => Promise<T>,
): Promise<T> {
  const deadlineMs = clock.monotonicMs() + WAIT_MS_MAX;
  for (;;) {
    let isEntered = false;
    try {
      return await database.transaction(
        async (trx) => {
          await enter(trx);
          isEntered = true;
          return body(trx);
        },
        { isLong: true },
      );
    } catch (error) {
      const isHeldUp = error instanceof AppError && error.cause instanceof TransactionConflict;
      if (isEntered || !isHeldUp || clock.monotonicMs() >= deadlineMs) throw error;
    }
    await clock.sleep(WAIT_STEP_MS);
  }
}

async function lock(trx: Transaction): Promise<void> {
  await trx(LOCK_TABLE).where("id", 1).select("id").forUpdate();
}

/** Returns when the migration was applied by this call; undefined if it was applied before. */
async function applyOnce(database: Database, file: MigrationFile, clock: Clock): Promise<number | undefined> {
  const { up } = (await import(file.url)) as Migration;
  const apply = async (trx: Transaction): Promise<number | undefined> => {
    const row = await trx(TABLE).where("number", file.number).first<{ name: string } | undefined>("name");
    if (row !== undefined) {
      if (row.name === file.name) return undefined;
      throw new UnknownMigration(row.name);
    }
    await up(new Schema(database.engine, trx));
    const appliedMs = clock.nowMs();
    await trx(TABLE).insert({ number: file.number, name: file.name, applied_ms: appliedMs });
    return appliedMs;
  };
  return whenFree(database, clock, async () => {}, apply);
}

/** Returns the migrations of a folder, in order. */
export async function migrationFiles(folder: URL): Promise<MigrationFile[]> {
  const base = folder.href.endsWith("/") ? folder : new URL(`${folder.href}/`);
  const names = (await readdir(fileURLToPath(base))).filter((name) =>
    /^\d{4}_[a-z0-9_]+\.(ts|js)$/.test(name),
  );
  if (names.length === 0) throw new Error(`no migrations in ${base.href}`);
  names.sort();
  const numbers = new Set<number>();
  return names.map((file) => {
    const number = Number(file.slice(0, 4));
    if (numbers.has(number)) throw new Error(`two migrations have the number of ${file}`);
    numbers.add(number);
    return { number, name: file.replace(/\.(ts|js)$/, ""), url: new URL(file, base).href };
  });
}
