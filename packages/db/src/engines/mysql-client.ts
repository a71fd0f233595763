// Extends knex's mysql2 dialect with consistent snapshots, prepared statements and the errors of
// database-errors.ts.
import type { Knex } from "knex";
import type { Connection } from "mysql2";
import {
  clearLost,
  databaseUnavailable,
  markLost,
  refuseIfLost,
  TransactionConflict,
} from "../port/database-errors.ts";
import {
  type BeginningClient,
  type DialectClient,
  type DriverQuery,
  EngineTransaction,
  MysqlDialect,
  type PooledConnection,
} from "./knex-internals.ts";
import { translateMysqlError } from "./mysql-errors.ts";

export type MysqlConnection = Connection & PooledConnection;
/** A value of a prepared statement. */
export type MysqlValue = string | number | bigint | Buffer | null;

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
    refuseIfLost(connection, typeof query === "string" ? query : query.sql);
    try {
      return await super.query(connection, query);
    } catch (error) {
      throw failure(this, connection, error);
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

// Not a private method of the class: knex creates a transaction's client from the bare prototype.
function failure(client: DialectClient, connection: MysqlConnection, error: unknown): unknown {
  const translated = translateMysqlError(error);
  if (translated instanceof TransactionConflict) {
    if (client.transacting !== true) return databaseUnavailable(error);
    markLost(connection, translated);
  }
  return translated;
}

async function run(
  client: DialectClient,
  connection: MysqlConnection,
  sql: string,
  send: (done: (error: Error | null, result: unknown) => void) => void,
): Promise<unknown> {
  refuseIfLost(connection, sql);
  try {
    return await new Promise((resolve, reject) => {
      send((error, result) => (error === null ? resolve(result) : reject(error)));
    });
  } catch (error) {
    throw failure(client, connection, error);
  }
}
