// Types the parts of knex that the declarations of knex omit: the dialect classes and the transaction class.
import { createRequire } from "node:module";
import type { Knex } from "knex";
import type { Connection } from "mysql2";

/** A driver's connection in knex's pool. */
export interface PooledConnection {
  /** Set when the connection must not be reused; the pool then drops the connection. */
  __knex__disposed?: unknown;
}

/** A connection of mysql2 in a pool of knex. */
export type MysqlConnection = Connection & PooledConnection;

/** The statement that a knex client passes to the driver. */
export interface DriverQuery {
  readonly sql: string;
  readonly bindings?: readonly unknown[];
  readonly options?: Readonly<Record<string, unknown>>;
  response?: unknown;
  context?: unknown;
}

export interface DialectClient extends Knex.Client {
  /** Set on the client that runs the statements of a transaction. */
  readonly transacting?: boolean;
  readonly config: Knex.Config;
  _query(connection: PooledConnection, query: DriverQuery): Promise<DriverQuery>;
}

export type DialectClass = new (config: Knex.Config) => DialectClient;

/** The outcome at the end of a transaction: 1 resolves the promise, 2 rejects the promise. */
type Ending = 1 | 2;

interface KnexTransaction {
  readonly client: Knex.Client;
  readonly trxClient: Knex.Client;
  readonly readOnly: boolean | undefined;
  _completed: boolean;
  _resolver(value: unknown): void;
  _rejecter(error: unknown): void;
  begin(connection: PooledConnection): Promise<unknown>;
  query(connection: PooledConnection, sql: string, ending?: Ending, value?: unknown): Promise<unknown>;
}

type KnexTransactionClass = new (
  client: Knex.Client,
  container: unknown,
  config: unknown,
  outerTx: unknown,
) => KnexTransaction;

const load = createRequire(import.meta.url);

export const SqliteDialect = load("knex/lib/dialects/better-sqlite3/index.js") as DialectClass;
export const MysqlDialect = load("knex/lib/dialects/mysql2/index.js") as DialectClass;
const BaseTransaction = load("knex/lib/execution/transaction.js") as KnexTransactionClass;

/** A dialect that defines how transactions begin. */
export interface BeginningClient extends Knex.Client {
  beginStatements(connection: PooledConnection, readOnly: boolean): readonly string[];
}

/**
 * A knex transaction with two changes. The body does not run when BEGIN has failed. A connection leaves the
 * pool after a failed COMMIT or ROLLBACK, because the transaction state is unknown.
 */
export class EngineTransaction extends BaseTransaction {
  override async begin(connection: PooledConnection): Promise<void> {
    const client = this.client as BeginningClient;
    for (const sql of client.beginStatements(connection, this.readOnly === true)) {
      await this.query(connection, sql);
    }
  }

  override async query(
    connection: PooledConnection,
    sql: string,
    ending?: Ending,
    value?: unknown,
  ): Promise<unknown> {
    const running = this.trxClient.query(connection, sql) as Promise<unknown>;
    if (ending !== undefined) this._completed = true;
    try {
      const result = await running;
      if (ending === 1) this._resolver(value);
      if (ending === 2) this._rejecter(value ?? new Error("the transaction was rolled back"));
      return result;
    } catch (error) {
      this._completed = true;
      if (ending === undefined) throw error;
      connection.__knex__disposed = error;
      this._rejecter(ending === 2 ? (value ?? error) : error);
      return undefined;
    }
  }
}

/** A silent logger: knex writes its warnings to the console, and errors reach the caller anyway. */
export const silentKnexLog: Knex.Logger = {
  warn: () => {},
  error: () => {},
  deprecate: () => {},
  debug: () => {},
};
