// What can go wrong in a database, in words that no engine owns. Driver text stays in `cause`.
import { PlainError } from "@muster/core";
import { AppError } from "@muster/errors";

/** Name of the key when a primary key is violated, on every engine. */
export const PRIMARY_KEY = "PRIMARY";

/** A row with this key is there already. */
export class UniqueViolation extends PlainError {
  override name = "UniqueViolation";
  /** The unique index's name, or {@link PRIMARY_KEY}. */
  readonly keyName: string;

  constructor(keyName: string, cause: unknown) {
    super(`unique key ${keyName} violated`, { cause });
    this.keyName = keyName;
  }
}

/** The transaction lost against another one and is to be run again as a whole. */
export class TransactionConflict extends PlainError {
  override name = "TransactionConflict";

  constructor(cause: unknown) {
    super("the transaction conflicts with another one", { cause });
  }
}

/**
 * Whether `error` says that a row with the same key exists; with `keyName`, that it is this unique index
 * ({@link PRIMARY_KEY} for a primary key).
 */
export function isUniqueViolation(error: unknown, keyName?: string): error is UniqueViolation {
  return error instanceof UniqueViolation && (keyName === undefined || error.keyName === keyName);
}

/** How long a caller is told to wait when the database does not answer. */
const RETRY_AFTER_MS = 1000;

export function databaseUnavailable(cause: unknown): AppError {
  return new AppError("UNAVAILABLE", { cause, retryAfterMs: RETRY_AFTER_MS });
}

const lost = new WeakMap<object, Error>();

/**
 * Remembers that the transaction open on `connection` is lost. MySQL goes on in autocommit mode after a
 * deadlock, so a body that swallows the error would write outside of any transaction.
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
