// Defines the errors of a database independently of the engine. Driver messages stay in `cause`.
import { PlainError } from "@muster/core";
import { AppError } from "@muster/errors";

/** Name of a violated primary key, on every engine. */
export const PRIMARY_KEY = "PRIMARY";

/** A row with this key exists. */
export class UniqueViolation extends PlainError {
  override name = "UniqueViolation";
  /** Name of the unique index, or {@link PRIMARY_KEY}. */
  readonly keyName: string;

  constructor(keyName: string, cause: unknown) {
    super(`unique key ${keyName} violated`, { cause });
    this.keyName = keyName;
  }
}

/** The transaction conflicts with another one and must run again as a whole. */
export class TransactionConflict extends PlainError {
  override name = "TransactionConflict";

  constructor(cause: unknown) {
    super("the transaction conflicts with another one", { cause });
  }
}

/** Another transaction holds a row for too long. */
export class LockWaitTimeout extends TransactionConflict {
  override name = "LockWaitTimeout";
}

/**
 * The server has ended the connection before the COMMIT, so the transaction is rolled back: the process paused
 * inside the transaction for too long, or the server restarted.
 */
export class TransactionAborted extends TransactionConflict {
  override name = "TransactionAborted";
}

/** The server has not responded to a statement in time. */
export class NoResponse extends PlainError {
  override name = "NoResponse";

  constructor() {
    super("the database does not respond to a statement");
  }
}

/**
 * Whether a transaction was rejected because of locks or the duration of the transaction, although the database
 * responds. Another attempt with fewer rows may succeed.
 */
export function isBlocked(error: unknown): boolean {
  return error instanceof AppError && error.cause instanceof TransactionConflict;
}

/**
 * Whether `error` is a unique violation; with `keyName`, a violation of this unique index ({@link
 * PRIMARY_KEY} for a primary key).
 */
export function isUniqueViolation(error: unknown, keyName?: string): error is UniqueViolation {
  return error instanceof UniqueViolation && (keyName === undefined || error.keyName === keyName);
}

/** Retry time for callers when the database does not respond. */
const RETRY_AFTER_MS = 1000;

export function databaseUnavailable(cause: unknown): AppError {
  return new AppError("UNAVAILABLE", { cause, retryAfterMs: RETRY_AFTER_MS });
}

const lost = new WeakMap<object, Error>();

/**
 * Marks the open transaction of `connection` as lost. MySQL continues in autocommit mode after a deadlock, so
 * a body that ignores the error would otherwise write outside of any transaction.
 */
export function markLost(connection: object, error: Error): void {
  lost.set(connection, error);
}

export function refuseIfLost(connection: object, sql: string): void {
  const error = lost.get(connection);
  if (error !== undefined && !/^ROLLBACK/i.test(sql)) throw error;
}

export function clearLost(connection: object): void {
  lost.delete(connection);
}
