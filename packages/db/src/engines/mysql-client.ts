// Extends knex's mysql2 dialect with consistent snapshots, prepared statements and the errors of
// database-errors.ts.
import type { Knex } from "knex";
import {
  clearLost,
  databaseUnavailable,
  markLost,
  NoResponse,
  refuseIfLost,
  TransactionAborted,
  TransactionConflict,
} from "../port/database-errors.ts";
import type { KeepAlive } from "./keep-alive.ts";
import {
  type BeginningClient,
  type DialectClient,
  type DriverQuery,
  EngineTransaction,
  type MysqlConnection,
  MysqlDialect,
  type PooledConnection,
} from "./knex-internals.ts";
import { isConnectionEnded, translateMysqlError } from "./mysql-errors.ts";
import { isUnbounded } from "./mysql-session.ts";
import type { ResponseWatch } from "./response-watch.ts";

/** A value of a prepared statement. */
export type MysqlValue = string | number | bigint | Buffer | null;

/** The configuration of a client, shared by its transactions. */
export interface MysqlConfig extends Knex.Config {
  readonly responses: ResponseWatch;
  readonly keepAlive: KeepAlive;
}

export class MysqlClient extends MysqlDialect implements BeginningClient {
  beginStatements(connection: PooledConnection, readOnly: boolean): readonly string[] {
    clearLost(connection);
    // Every statement of the write pool is in a transaction: see its session statements.
    if (!readOnly) return [];
    // The snapshot pool is read-only by its session; TiDB's grammar allows no READ ONLY here.
    return ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"];
  }

  override transaction(container: unknown, config: unknown, outerTx: unknown): Knex.Transaction {
    return new EngineTransaction(this, container, config, outerTx) as unknown as Knex.Transaction;
  }

  override async acquireConnection(): Promise<MysqlConnection> {
    try {
      return (await super.acquireConnection()) as MysqlConnection;
    } catch (error) {
      throw databaseUnavailable(error);
    }
  }

  override async query(connection: MysqlConnection, query: DriverQuery | string): Promise<unknown> {
    const sql = typeof query === "string" ? query : query.sql;
    refuseIfLost(connection, sql);
    try {
      return await responded(this, connection, super.query(connection, query));
    } catch (error) {
      throw failure(this, connection, sql, error);
    }
  }

  /** Runs a statement that the server keeps prepared for this connection. */
  execute(connection: MysqlConnection, sql: string, values: MysqlValue[]): Promise<unknown> {
    return run(this, connection, sql, (done) => connection.execute(sql, values, done));
  }

  /** Runs a statement with its values in the text: more expensive per row, but nothing is prepared. */
  executeText(connection: MysqlConnection, sql: string, values: MysqlValue[]): Promise<unknown> {
    return run(this, connection, sql, (done) => connection.query(sql, values, done));
  }
}

// Not private methods of the class: knex creates a transaction's client from the bare prototype.

/** Rejects and closes the connection when the server does not respond in time. */
function responded(
  client: DialectClient,
  connection: MysqlConnection,
  running: Promise<unknown>,
): Promise<unknown> {
  if (isUnbounded(connection)) return running;
  const { responses, keepAlive } = client.config as MysqlConfig;
  keepAlive.active(connection);
  return responses.within(running, () => {
    connection.__knex__disposed = "the server does not respond";
    connection.destroy();
  });
}

function failure(client: DialectClient, connection: MysqlConnection, sql: string, error: unknown): unknown {
  if (error instanceof NoResponse) return databaseUnavailable(error);
  const translated = conflictOf(client, sql, error) ?? translateMysqlError(error);
  if (translated instanceof TransactionConflict) {
    if (client.transacting !== true) return databaseUnavailable(error);
    markLost(connection, translated);
  }
  return translated;
}

/** A connection that ended before the COMMIT has changed nothing, so the transaction can run again. */
function conflictOf(client: DialectClient, sql: string, error: unknown): TransactionConflict | undefined {
  const isRolledBack = client.transacting === true && isConnectionEnded(error) && !/^COMMIT/i.test(sql);
  return isRolledBack ? new TransactionAborted(error) : undefined;
}

async function run(
  client: DialectClient,
  connection: MysqlConnection,
  sql: string,
  send: (done: (error: Error | null, result: unknown) => void) => void,
): Promise<unknown> {
  refuseIfLost(connection, sql);
  const running = new Promise((resolve, reject) => {
    send((error, result) => (error === null ? resolve(result) : reject(error)));
  });
  try {
    return await responded(client, connection, running);
  } catch (error) {
    throw failure(client, connection, sql, error);
  }
}
