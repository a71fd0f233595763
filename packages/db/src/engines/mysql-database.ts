// Opens MariaDB, MySQL 8 and TiDB as the database port.
import { assert, systemClock } from "@muster/core";
import knexModule, { type Knex } from "knex";
import type { Database, Transaction, TransactionOptions } from "../port/database.ts";
import { KeepAlive } from "./keep-alive.ts";
import { type MysqlConnection, silentKnexLog } from "./knex-internals.ts";
import { MysqlClient, type MysqlConfig } from "./mysql-client.ts";
import {
  DEFAULT_SESSION_BOUNDS,
  liftBounds,
  type PoolUse,
  prepareSession,
  type SessionBounds,
  withBriefLockWaits,
} from "./mysql-session.ts";
import { ResponseWatch } from "./response-watch.ts";
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
  readonly bounds?: Partial<SessionBounds>;
  readonly retry?: Partial<RetryPolicy>;
  /** Statements that run on every new connection. */
  readonly sessionStatements?: readonly string[];
}

const ACQUIRE_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 3_000;
/** Time to connect and to prepare the session. */
const CREATE_TIMEOUT_MS = 5_000;
const PING_TIMEOUT_MS = 5_000;
/** The pool drops a connection that was idle for so long: well before the server closes it. */
const POOL_IDLE_MS = 5_000;
// Migrations hold one connection for their lock and use another.
const POOL_MIN = 2;
/** Prepared statements of one connection; a server allows about 16,000 in all. */
const PREPARED_STATEMENTS_MAX = 256;
/** In UTC, because a local time of a night in autumn has two meanings. */
const NOW_MS = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000 AS now_ms";

export async function openMysql(options: MysqlOptions): Promise<Database> {
  const poolMax = Math.max(POOL_MIN, options.poolMax ?? 10);
  const bounds = { ...DEFAULT_SESSION_BOUNDS, ...options.bounds };
  const keepAlive = new KeepAlive(systemClock, bounds.workMs);
  const open = (max: number, use: PoolUse) => openPool(options, bounds, keepAlive, max, use);
  const pools = {
    writer: open(poolMax, "transactions"),
    reader: open(poolMax, "reads"),
    snapshots: open(options.snapshotPoolMax ?? 8, "snapshots"),
  };
  return new MysqlDatabase(pools, keepAlive, { ...defaultRetryPolicy, ...options.retry });
}

function openPool(
  options: MysqlOptions,
  bounds: SessionBounds,
  keepAlive: KeepAlive,
  max: number,
  use: PoolUse,
): Knex {
  const config: MysqlConfig = {
    client: MysqlClient as unknown as typeof Knex.Client,
    connection: { ...connectionSettings(options.url, options.database) },
    compileSqlOnError: false,
    acquireConnectionTimeout: options.acquireTimeoutMs ?? ACQUIRE_TIMEOUT_MS,
    log: silentKnexLog,
    responses: new ResponseWatch(systemClock, bounds.responseMs),
    keepAlive,
    pool: {
      min: 0,
      max,
      createTimeoutMillis: CREATE_TIMEOUT_MS,
      idleTimeoutMillis: POOL_IDLE_MS,
      afterCreate(connection: MysqlConnection, done: (error?: unknown) => void): void {
        prepareSession(connection, use, bounds, options.sessionStatements ?? []).then(
          () => done(),
          (error: unknown) => {
            connection.destroy();
            done(error);
          },
        );
      },
    },
  };
  return knex(config);
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

interface Pools {
  readonly writer: Knex;
  readonly reader: Knex;
  readonly snapshots: Knex;
}

class MysqlDatabase implements Database {
  readonly engine = "mysql";
  readonly reader: Knex;
  readonly #writer: Knex;
  readonly #snapshots: Knex;
  readonly #keepAlive: KeepAlive;
  readonly #retry: RetryPolicy;

  constructor(pools: Pools, keepAlive: KeepAlive, retry: RetryPolicy) {
    this.#writer = pools.writer;
    this.reader = pools.reader;
    this.#snapshots = pools.snapshots;
    this.#keepAlive = keepAlive;
    this.#retry = retry;
  }

  transaction<T>(
    body: (trx: Transaction) => Promise<T>,
    { isLong = false, lockWait = "retry" }: TransactionOptions = {},
  ): Promise<T> {
    const run = async (trx: Transaction): Promise<T> => {
      const connection = (await trx.client.acquireConnection()) as MysqlConnection;
      if (isLong) {
        await liftBounds(connection);
        return body(trx);
      }
      return this.#keepAlive.during(connection, () =>
        lockWait === "brief" ? withBriefLockWaits(connection, () => body(trx)) : body(trx),
      );
    };
    const policy = { ...this.#retry, retriesLockWaits: lockWait === "retry" };
    return retryConflicts(policy, () => this.#writer.transaction(run));
  }

  snapshot<T>(body: (trx: Transaction) => Promise<T>): Promise<T> {
    return retryConflicts(this.#retry, () => this.#snapshots.transaction(body, { readOnly: true }));
  }

  async nowMs(): Promise<number> {
    const [rows] = (await this.reader.raw(NOW_MS)) as [readonly { readonly now_ms: number }[]];
    assert(rows[0] !== undefined, "the time of the server is a row");
    return Number(rows[0].now_ms);
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
