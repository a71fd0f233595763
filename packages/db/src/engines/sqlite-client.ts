// Extends knex's better-sqlite3 dialect with cached statements, BEGIN IMMEDIATE and the errors of
// database-errors.ts.
import type { Knex } from "knex";
import {
  clearLost,
  databaseUnavailable,
  markLost,
  refuseIfLost,
  TransactionConflict,
} from "../port/database-errors.ts";
import { beforeRead } from "../turns/sqlite-turns.ts";
import {
  type BeginningClient,
  type DialectClient,
  type DriverQuery,
  EngineTransaction,
  type PooledConnection,
  SqliteDialect,
} from "./knex-internals.ts";
import { prepareCached, type SqliteConnection } from "./sqlite-connection.ts";
import { translateSqliteError } from "./sqlite-errors.ts";

export class SqliteClient extends SqliteDialect implements BeginningClient {
  beginStatements(connection: PooledConnection, readOnly: boolean): readonly string[] {
    clearLost(connection);
    // SQLite takes its snapshot at the first read, not at BEGIN.
    return readOnly ? ["BEGIN", "SELECT 1 FROM sqlite_schema LIMIT 1"] : ["BEGIN IMMEDIATE"];
  }

  override transaction(container: unknown, config: unknown, outerTx: unknown): Knex.Transaction {
    return new EngineTransaction(this, container, config, outerTx) as unknown as Knex.Transaction;
  }

  override async acquireConnection(): Promise<SqliteConnection> {
    try {
      return (await super.acquireConnection()) as SqliteConnection;
    } catch (error) {
      throw databaseUnavailable(error);
    }
  }

  override async query(connection: SqliteConnection, query: DriverQuery | string): Promise<unknown> {
    await turnBefore(connection);
    refuseIfLost(connection, typeof query === "string" ? query : query.sql);
    try {
      return await super.query(connection, query);
    } catch (error) {
      throw failure(this, connection, error);
    }
  }

  /** Runs a prepared statement once for each row. */
  async executeEach(
    connection: SqliteConnection,
    sql: string,
    rows: readonly (readonly unknown[])[],
  ): Promise<void> {
    refuseIfLost(connection, sql);
    try {
      const statement = prepareCached(connection, sql);
      for (const row of rows) statement.run(...row);
    } catch (error) {
      throw failure(this, connection, error);
    }
  }

  async selectPrepared(
    connection: SqliteConnection,
    sql: string,
    values: readonly unknown[],
  ): Promise<unknown[]> {
    await turnBefore(connection);
    refuseIfLost(connection, sql);
    try {
      return prepareCached(connection, sql).all(...values);
    } catch (error) {
      throw failure(this, connection, error);
    }
  }

  override async _query(connection: SqliteConnection, query: DriverQuery): Promise<DriverQuery> {
    const statement = prepareCached(connection, query.sql);
    const bindings = (query.bindings ?? []).map((value) =>
      typeof value === "boolean" ? Number(value) : value,
    );
    if (statement.reader) {
      query.response = statement.all(...bindings);
    } else {
      const response = statement.run(...bindings);
      query.response = response;
      query.context = { lastID: response.lastInsertRowid, changes: response.changes };
    }
    return query;
  }
}

// Not a private method of the class: knex creates a transaction's client from the bare prototype.
function failure(client: DialectClient, connection: SqliteConnection, error: unknown): unknown {
  const translated = translateSqliteError(connection, error);
  if (translated instanceof TransactionConflict) {
    if (client.transacting !== true) return databaseUnavailable(error);
    markLost(connection, translated);
  }
  return translated;
}

/** A transaction that writes gets no turns: all other writers would wait for them as well. */
function turnBefore(connection: SqliteConnection): Promise<void> | undefined {
  return connection.readonly ? beforeRead() : undefined;
}
