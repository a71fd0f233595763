// Prepares the sessions of MariaDB, MySQL 8 and TiDB: their mode, and the time that each may take or hold locks.
import type { MysqlConnection, PooledConnection } from "./knex-internals.ts";

/**
 * Bounds of a session. A process that freezes inside a transaction keeps its row locks until the server ends
 * the session, so these bounds are the longest time for which one process can stop the others.
 */
export interface SessionBounds {
  /** Time after which a statement that waits for a lock fails and its transaction runs again. */
  readonly lockWaitSeconds: number;
  /** Time without a statement after which MariaDB ends an open transaction with its connection. */
  readonly idleTransactionSeconds: number;
  /**
   * Time without a statement after which the server ends a writing connection. It replaces
   * `idleTransactionSeconds` on MySQL and TiDB. The pool drops idle connections earlier.
   */
  readonly idleConnectionSeconds: number;
  /** Time after which the server ends a statement: any statement on MariaDB, a SELECT on MySQL and TiDB. */
  readonly statementSeconds: number;
  /** Time for which a process may work between two statements of a transaction, if it is alive. */
  readonly workMs: number;
  /** Time after which a statement without a response fails and its connection is closed: the server hangs. */
  readonly responseMs: number;
}

export const DEFAULT_SESSION_BOUNDS: SessionBounds = {
  lockWaitSeconds: 3,
  idleTransactionSeconds: 5,
  idleConnectionSeconds: 10,
  statementSeconds: 6,
  workMs: 30_000,
  responseMs: 7_000,
};

/** A snapshot holds no locks and may wait for the reader of an export. */
const SNAPSHOT_IDLE_SECONDS = 60;
/** Time for a packet that is partly sent or received. */
const PACKET_SECONDS = 10;
/** The strictest of the defaults of MariaDB and MySQL 8, so that a statement has the same meaning on both. */
const SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY";
/** "… has only noop implementation": TiDB accepts READ ONLY only with tidb_enable_noop_functions. */
const NOT_SUPPORTED = 1235;

/** What the sessions of a pool do. */
export type PoolUse = "transactions" | "reads" | "snapshots";

/** Prepares a new connection. `more` holds further statements. */
export async function prepareSession(
  connection: MysqlConnection,
  use: PoolUse,
  bounds: SessionBounds,
  more: readonly string[],
): Promise<void> {
  await run(connection, settings(use, bounds));
  await run(connection, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
  // Without autocommit a transaction begins with its first statement, which saves a round trip.
  if (use === "transactions") await run(connection, "SET SESSION autocommit = 0");
  else await setReadOnly(connection);
  for (const sql of more) await run(connection, sql);
}

/** Only MariaDB reads `/*M!`. MySQL and TiDB read `/*!50708`, which MariaDB ignores up to 50999. */
function settings(use: PoolUse, bounds: SessionBounds): string {
  const idle = use === "snapshots" ? SNAPSHOT_IDLE_SECONDS : bounds.idleTransactionSeconds;
  return [
    `SET SESSION sql_mode = '${SQL_MODE}'`,
    `innodb_lock_wait_timeout = ${bounds.lockWaitSeconds}`,
    `net_read_timeout = ${PACKET_SECONDS}`,
    `net_write_timeout = ${PACKET_SECONDS}`,
    ...(use === "transactions" ? [`wait_timeout = ${bounds.idleConnectionSeconds}`] : []),
  ]
    .join(", ")
    .concat(
      ` /*M!100300 , idle_transaction_timeout = ${idle}, max_statement_time = ${bounds.statementSeconds} */`,
      ` /*!50708 , max_execution_time = ${bounds.statementSeconds * 1000} */`,
    );
}

/** TiDB has no read-only sessions by default; its readers only run statements that do not write. */
async function setReadOnly(connection: MysqlConnection): Promise<void> {
  try {
    await run(connection, "SET SESSION TRANSACTION READ ONLY");
  } catch (error) {
    if (!(error instanceof Error && "errno" in error && error.errno === NOT_SUPPORTED)) throw error;
  }
}

const unbounded = new WeakSet<PooledConnection>();

export function isUnbounded(connection: PooledConnection): boolean {
  return unbounded.has(connection);
}

/** Lifts the bounds of a session for a long transaction. The pool does not use the connection again. */
export async function liftBounds(connection: MysqlConnection): Promise<void> {
  unbounded.add(connection);
  connection.__knex__disposed = "the bounds of the session are lifted";
  await run(
    connection,
    "SET SESSION wait_timeout = 28800 /*M!100300 , idle_transaction_timeout = 0, max_statement_time = 0 */" +
      " /*!50708 , max_execution_time = 0 */",
  );
}

const BRIEF_LOCK_WAIT_SECONDS = 1;

/** Runs `body` with a shorter bound on lock waits. The pool does not use the connection again. */
export async function withBriefLockWaits<T>(connection: MysqlConnection, body: () => Promise<T>): Promise<T> {
  connection.__knex__disposed = "the bounds of the session are changed";
  await run(connection, `SET SESSION innodb_lock_wait_timeout = ${BRIEF_LOCK_WAIT_SECONDS}`);
  return body();
}

function run(connection: MysqlConnection, sql: string): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    connection.query(sql, (error) => (error === null ? resolve() : reject(error)));
  });
}
