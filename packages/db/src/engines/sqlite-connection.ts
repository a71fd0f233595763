// Caches the prepared statements of SQLite connections.
import type BetterSqlite3 from "better-sqlite3";
import type { PooledConnection } from "./knex-internals.ts";

export type SqliteConnection = BetterSqlite3.Database & PooledConnection;

/** Cached statements per connection; the least recently used one is dropped first. */
const STATEMENTS_MAX = 256;
/** A longer text (a long IN list) is rarely executed twice. */
const CACHED_SQL_LENGTH_MAX = 4096;

const statementsOf = new WeakMap<object, Map<string, BetterSqlite3.Statement>>();

/** Returns a cached statement, or prepares it. */
export function prepareCached(connection: SqliteConnection, sql: string): BetterSqlite3.Statement {
  if (sql.length > CACHED_SQL_LENGTH_MAX) return connection.prepare(sql);
  let statements = statementsOf.get(connection);
  if (statements === undefined) {
    statements = new Map();
    statementsOf.set(connection, statements);
  }
  const statement = statements.get(sql) ?? connection.prepare(sql);
  statements.delete(sql);
  statements.set(sql, statement);
  if (statements.size > STATEMENTS_MAX) {
    for (const oldest of statements.keys()) {
      statements.delete(oldest);
      break;
    }
  }
  return statement;
}
