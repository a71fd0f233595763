// Translates SQLite's result codes to the errors of database-errors.ts.
import {
  databaseUnavailable,
  PRIMARY_KEY,
  TransactionConflict,
  UniqueViolation,
} from "../port/database-errors.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";

/** Caused by the file or the disk, not by the statement. */
const UNAVAILABLE = /^SQLITE_(FULL|IOERR|CANTOPEN|READONLY|NOMEM|CORRUPT|NOTADB|PROTOCOL)/;

/** Returns the error to reject with: one of database-errors.ts, or `error` itself for a defective statement. */
export function translateSqliteError(connection: SqliteConnection, error: unknown): unknown {
  const code = codeOf(error);
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return new TransactionConflict(error);
  if (UNAVAILABLE.test(code)) return databaseUnavailable(error);
  if (code === "SQLITE_CONSTRAINT_PRIMARYKEY" || code === "SQLITE_CONSTRAINT_ROWID") {
    return new UniqueViolation(PRIMARY_KEY, error);
  }
  if (code === "SQLITE_CONSTRAINT_UNIQUE" && error instanceof Error) {
    return new UniqueViolation(violatedIndex(connection, error.message), error);
  }
  return error;
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "";
}

/** SQLite names the columns ("… failed: t.a, t.b"), not the index, so the index is found in the schema. */
function violatedIndex(connection: SqliteConnection, message: string): string {
  const columns = /UNIQUE constraint failed: (.*)$/s.exec(message)?.[1]?.split(", ") ?? [];
  const table = columns[0]?.split(".")[0] ?? "";
  const wanted = columns.map((column) => column.slice(table.length + 1)).join();
  const indexes = connection
    .prepare<[string], { name: string }>('SELECT name FROM pragma_index_list(?) WHERE "unique" = 1')
    .all(table);
  const indexColumns = connection.prepare<[string], { name: string }>(
    "SELECT name FROM pragma_index_info(?) ORDER BY seqno",
  );
  for (const index of indexes) {
    const names = indexColumns.all(index.name).map((column) => column.name);
    if (names.join() === wanted) return index.name;
  }
  return "";
}
