// Opens MariaDB, MySQL 8 and TiDB as the database port.
import knexModule, { type Knex } from "knex";
import type { Database, Transaction } from "../port/database.ts";
import { silentKnexLog } from "./knex-internals.ts";
import { MysqlClient, type MysqlConnection } from "./mysql-client.ts";
import { defaultRetryPolicy, type RetryPolicy, retryConflicts } from "./retry.ts";

// A CommonJS module: Node finds no named export in it.
const { knex } = knexModule;

export interface MysqlOptions {
  /** mysql://user:password@host:port/database */
  readonly url: string;
  /** Replaces the database of the URL. */
  readonly database?: string;
  /** Size of the pool for transactions, and of the pool for single reads. */
  readonly poolMax?: number;
  /** Most snapshots open at once; more wait. */
  readonly snapshotPoolMax?: number;
  readonly acquireTimeoutMs?: number;
  /** Time after which a waiting statement fails and its transaction runs again. */
  readonly lockWaitSeconds?: number;
  readonly retry?: Partial<RetryPolicy>;
  /** Statements that run on every new connection. */
  readonly sessionStatements?: readonly string[];
}

const ACQUIRE_TIMEOUT_MS = 10_000;
const CONNECT_TIMEOUT_MS = 5_000;
const LOCK_WAIT_SECONDS = 10;
const PING_TIMEOUT_MS = 5_000;
// Migrations hold one connection for their lock and use another.
const POOL_MIN = 2;
/** Prepared statements of one connection; a server allows about 16,000 in all. */
const PREPARED_STATEMENTS_MAX = 256;
/** The strictest of the defaults of MariaDB and MySQL 8, so that a statement has the same meaning on both. */
const SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY";

export async function openMysql(options: MysqlOptions): Promise<Database> {
  const poolMax = Math.max(POOL_MIN, options.poolMax ?? 10);
  const writer = openPool(options, poolMax, false);
  const reader = openPool(options, poolMax, true);
  const snapshots = openPool(options, options.snapshotPoolMax ?? 8, true);
  return new MysqlDatabase(writer, reader, snapshots, { ...defaultRetryPolicy, ...options.retry });
}

function openPool(options: MysqlOptions, max: number, readOnly: boolean): Knex {
  return knex({
    client: MysqlClient as unknown as typeof Knex.Client,
    connection: { ...connectionSettings(options.url, options.database) },
    compileSqlOnError: false,
    acquireConnectionTimeout: options.acquireTimeoutMs ?? ACQUIRE_TIMEOUT_MS,
    log: silentKnexLog,
    pool: {
      min: 0,
      max,
      afterCreate(connection: MysqlConnection, done: (error?: unknown) => void): void {
        prepareConnection(connection, sessionStatements(options, readOnly)).then(
          () => done(),
          (error: unknown) => {
            connection.destroy();
            done(error);
          },
        );
      },
    },
  });
}

/**
 * Returns the settings for mysql2. `FOUND_ROWS` stays on: an UPDATE counts the matched rows, as on SQLite.
 */
export function connectionSettings(url: string, database: string | undefined): Record<string, unknown> {
  const { hostname, port, username, password, pathname } = new URL(url);
  const name = database ?? decodeURIComponent(pathname.slice(1));
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? 3306 : Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    ...(name === "" ? {} : { database: name }),
    charset: "UTF8MB4_BIN",
    connectTimeout: CONNECT_TIMEOUT_MS,
    // SUM() is a DECIMAL. No column is a DECIMAL, and no sum exceeds 2^53.
    decimalNumbers: true,
    maxPreparedStatements: PREPARED_STATEMENTS_MAX,
  };
}

function sessionStatements(options: MysqlOptions, readOnly: boolean): readonly string[] {
  return [
    `SET SESSION sql_mode = '${SQL_MODE}', innodb_lock_wait_timeout = ${options.lockWaitSeconds ?? LOCK_WAIT_SECONDS}`,
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    // Without autocommit a transaction begins with its first statement, which saves a round trip.
    readOnly ? "SET SESSION TRANSACTION READ ONLY" : "SET SESSION autocommit = 0",
    ...(options.sessionStatements ?? []),
  ];
}

async function prepareConnection(connection: MysqlConnection, statements: readonly string[]): Promise<void> {
  for (const sql of statements) {
    await new Promise<void>((resolve, reject) => {
      connection.query(sql, (error) => (error === null ? resolve() : reject(error)));
    });
  }
}

class MysqlDatabase implements Database {
  readonly engine = "mysql";
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

  transaction<T>(body: (trx: Transaction) => Promise<T>): Promise<T> {
    return retryConflicts(this.#retry, () => this.#writer.transaction(body));
  }

  snapshot<T>(body: (trx: Transaction) => Promise<T>): Promise<T> {
    return retryConflicts(this.#retry, () => this.#snapshots.transaction(body, { readOnly: true }));
  }

  /** The server removes deleted rows by itself: docs/privacy.md names the settings that bound the time. */
  async removeDeletedData(): Promise<void> {}

  async ping(): Promise<void> {
    await this.reader.raw("SELECT 1").timeout(PING_TIMEOUT_MS);
  }

  async close(): Promise<void> {
    await Promise.all([this.reader.destroy(), this.#snapshots.destroy(), this.#writer.destroy()]);
  }
}
