// Translates error numbers of MariaDB, MySQL and TiDB to the errors of database-errors.ts. Errors are
// recognized by number, because mysql2 misnames some of them.
import {
  databaseUnavailable,
  LockWaitTimeout,
  PRIMARY_KEY,
  TransactionConflict,
  UniqueViolation,
} from "../port/database-errors.ts";

/** Lock wait timeout; NOWAIT finds a locked row (MySQL and TiDB). */
const LOCK_WAITS = new Set([1205, 3572]);
/** Deadlock, snapshot conflict (MariaDB), write conflicts (TiDB). */
const CONFLICTS = new Set([1213, 1020, 8002, 8022, 9007]);
/** TiDB reports this conflict under the number of unknown errors. */
const UNKNOWN_ERROR = 1105;
const TIDB_CONFLICT = /pessimistic lock retry limit reached/;
const DUPLICATE_ENTRY = 1062;
/** The server has ended the connection: killed, gone, lost, idle for too long. */
const CONNECTION_ENDED = new Set([1927, 2006, 2013, 4031]);
/**
 * Not caused by the statement: failed write and full disk, too many connections, shutdown, network, read-only
 * after a failover, statement took too long (MariaDB, MySQL), region or store unavailable (TiDB).
 */
const UNAVAILABLE = new Set([
  3, 20, 1021, 1026, 1040, 1041, 1047, 1053, 1077, 1079, 1114, 1158, 1159, 1160, 1161, 1203, 1290, 1836, 1969,
  3024, 9001, 9002, 9003, 9005,
]);

/** An error number of the operating system or of the storage engine. */
const ENGINE_ERROR = 1030;
/** No space left on the device; quota exceeded. */
const DISK_FULL = /\b(28|122)\b/;

interface DriverError extends Error {
  readonly errno?: number;
  readonly fatal?: boolean;
  readonly syscall?: string;
  readonly sqlMessage?: string;
}

/** Returns the error to reject with: one of database-errors.ts, or `error` itself for a defective statement. */
export function translateMysqlError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { errno, sqlMessage }: DriverError = error;
  if (errno !== undefined && LOCK_WAITS.has(errno)) return new LockWaitTimeout(error);
  if (errno !== undefined && CONFLICTS.has(errno)) return new TransactionConflict(error);
  if (errno === UNKNOWN_ERROR && TIDB_CONFLICT.test(sqlMessage ?? error.message)) {
    return new TransactionConflict(error);
  }
  if (errno === DUPLICATE_ENTRY) return new UniqueViolation(violatedKey(sqlMessage ?? error.message), error);
  if (isConnectionEnded(error)) return databaseUnavailable(error);
  if (errno !== undefined && UNAVAILABLE.has(errno)) return databaseUnavailable(error);
  if (errno === ENGINE_ERROR && DISK_FULL.test(sqlMessage ?? error.message))
    return databaseUnavailable(error);
  return error;
}

/** Whether the connection is closed, so that the server has rolled its transaction back or will do so. */
export function isConnectionEnded(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { errno, fatal, syscall }: DriverError = error;
  return fatal === true || syscall !== undefined || (errno !== undefined && CONNECTION_ENDED.has(errno));
}

/**
 * Parses "Duplicate entry '…' for key 'name'", on MySQL and TiDB 'table.name'. The entry may contain quotes.
 */
function violatedKey(message: string): string {
  const key = /for key '([^']*)'$/.exec(message)?.[1] ?? "";
  const name = key.slice(key.lastIndexOf(".") + 1);
  return name.toUpperCase() === PRIMARY_KEY ? PRIMARY_KEY : name;
}
