// Opens SQLite as the database port: one writer, and readers that cannot write, on one file.
import { closeSync, openSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { type BackoffPolicy, backoffMs, PlainError } from "@muster/core";
import knexModule, { type Knex } from "knex";
import type { Database, Transaction } from "../port/database.ts";
import { databaseUnavailable } from "../port/database-errors.ts";
import { silentKnexLog } from "./knex-internals.ts";
import { defaultRetryPolicy, type RetryPolicy, retryConflicts } from "./retry.ts";
import { SqliteClient } from "./sqlite-client.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";

// A CommonJS module: Node finds no named export in it.
const { knex } = knexModule;

export interface SqliteOptions {
  /** The database file; its folder must exist. */
  readonly path: string;
  /** Size of the pool for single reads. */
  readonly readerPoolMax?: number;
  /** Most snapshots open at once; more wait. */
  readonly snapshotPoolMax?: number;
  readonly acquireTimeoutMs?: number;
  readonly retry?: Partial<RetryPolicy>;
}

// better-sqlite3 blocks the thread while it waits for a lock, so most of the waiting is left to
// retryConflicts.
const BUSY_TIMEOUT_MS = 20;
/**
 * Pages of log between checkpoints: with SQLite's default of 1,000, checkpoints take most of an ingest's
 * time.
 */
const CHECKPOINT_PAGES = 16_000;
/** Size to which a checkpoint shrinks the log file: about CHECKPOINT_PAGES pages. */
const LOG_BYTES_MAX = 64 * 1024 * 1024;
/** Time for which removeDeletedData waits for readers that use the log. */
const LOG_WAIT: BackoffPolicy = { minMs: 10, maxMs: 200, jitter: "half" };
const LOG_WAIT_MS_MAX = 10_000;
const ACQUIRE_TIMEOUT_MS = 10_000;

export async function openSqlite(options: SqliteOptions): Promise<Database> {
  // Created here with owner-only rights, because it holds personal data.
  closeSync(openSync(options.path, "a", 0o600));
  const writer = openPool(options, 1, false);
  // WAL mode is a property of the file; readers can open it only once the writer has set the mode.
  await writer.raw("SELECT 1");
  const reader = openPool(options, options.readerPoolMax ?? 4, true);
  const snapshots = openPool(options, options.snapshotPoolMax ?? 8, true);
  return new SqliteDatabase(writer, reader, snapshots, { ...defaultRetryPolicy, ...options.retry });
}

/** Runs `body` in a database in memory, which is dropped afterwards. */
export async function withMemoryDatabase<T>(body: (trx: Transaction) => Promise<T>): Promise<T> {
  const memory = openPool({ path: ":memory:" }, 1, false);
  try {
    return await memory.transaction(body);
  } finally {
    await memory.destroy();
  }
}

function openPool(options: SqliteOptions, max: number, readonly: boolean): Knex {
  return knex({
    client: SqliteClient as unknown as typeof Knex.Client,
    connection: { filename: options.path, options: { readonly } },
    useNullAsDefault: true,
    compileSqlOnError: false,
    acquireConnectionTimeout: options.acquireTimeoutMs ?? ACQUIRE_TIMEOUT_MS,
    log: silentKnexLog,
    pool: {
      min: 0,
      max,
      afterCreate(connection: SqliteConnection, done: (error?: unknown) => void): void {
        try {
          prepareConnection(connection, readonly);
          done();
        } catch (error) {
          connection.close();
          done(error);
        }
      },
    },
  });
}

function prepareConnection(connection: SqliteConnection, readonly: boolean): void {
  connection.pragma(`busy_timeout = ${BUSY_TIMEOUT_MS}`);
  connection.pragma("foreign_keys = OFF");
  connection.pragma("temp_store = MEMORY");
  connection.pragma("cache_size = -16000");
  if (readonly) return;
  connection.pragma("journal_mode = WAL");
  connection.pragma("synchronous = FULL");
  // Deleted content is overwritten with zeros, so that no erased data stays in free space of the file.
  connection.pragma("secure_delete = ON");
  connection.pragma(`journal_size_limit = ${LOG_BYTES_MAX}`);
  connection.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
}

/** Readers use the log all the time, so that it cannot be truncated. */
class LogInUse extends PlainError {
  override name = "LogInUse";

  constructor() {
    super("readers keep the write-ahead log in use");
  }
}

class SqliteDatabase implements Database {
  readonly engine = "sqlite";
  readonly reader: Knex;
  readonly #writer: Knex;
  readonly #snapshots: Knex;
  readonly #retry: RetryPolicy;

  constructor(writer: Knex, reader: Knex, snapshots: Knex, retry: RetryPolicy) {
    this.#writer = writer;
    this.reader = reader;
    this.#snapshots = snapshots;
    this.#retry = retry;
  }

  async transaction<T>(body: (trx: Transaction) => Promise<T>): Promise<T> {
    // A single process writes, and no server ends its sessions: the options have no effect.
    const result = await retryConflicts(this.#retry, () => this.#writer.transaction(body));
    // The driver never leaves this thread. Without a turn of the event loop, consecutive transactions would
    // block all sockets and workers of the process.
    await setImmediate();
    return result;
  }

  snapshot<T>(body: (trx: Transaction) => Promise<T>): Promise<T> {
    return retryConflicts(this.#retry, () => this.#snapshots.transaction(body, { readOnly: true }));
  }

  async nowMs(): Promise<number> {
    return this.#retry.clock.nowMs();
  }

  async removeDeletedData(): Promise<void> {
    const { clock, random } = this.#retry;
    const endMs = clock.monotonicMs() + LOG_WAIT_MS_MAX;
    for (let attempt = 1; ; attempt += 1) {
      // The log holds pages as they were before the deletion. A reader that still uses the log prevents its
      // truncation.
      const [result]: { busy: number }[] = await this.#writer.raw("PRAGMA wal_checkpoint(TRUNCATE)");
      if (result?.busy === 0) return;
      if (clock.monotonicMs() >= endMs) throw databaseUnavailable(new LogInUse());
      await clock.sleep(backoffMs(attempt, LOG_WAIT, random));
    }
  }

  async ping(): Promise<void> {
    await this.reader.raw("SELECT 1");
  }

  async close(): Promise<void> {
    await Promise.all([this.reader.destroy(), this.#snapshots.destroy()]);
    // The last connection to close writes the log back into the file.
    await this.#writer.destroy();
  }
}
