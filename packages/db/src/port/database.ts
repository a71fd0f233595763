// The database port hides the engine from the services.
import type { Knex } from "knex";

/** An open transaction: a knex query builder bound to the transaction. */
export type Transaction = Knex.Transaction;
/** Any query builder that runs statements. */
export type Queryable = Knex | Knex.Transaction;
/** "mysql" stands for MariaDB, MySQL 8 and TiDB. */
export type Engine = "sqlite" | "mysql";

export interface TransactionOptions {
  /**
   * What happens when a row stays locked for too long (3 s). "retry" runs the body again (default). "once" rejects
   * instead; see isBlocked. "brief" rejects after 1 s.
   */
  readonly lockWait?: "retry" | "once" | "brief";
  /** True lifts the limits on the duration of statements and pauses, for migrations. */
  readonly isLong?: boolean;
}

export interface Database {
  readonly engine: Engine;
  /** Runs single statements over committed data. It never writes: the connection rejects writes. */
  readonly reader: Knex;
  /**
   * Runs `body` in a READ COMMITTED transaction and commits. On a deadlock, lock timeout or snapshot conflict
   * it rolls back and runs `body` again, so `body` must not do other I/O. Rejects with UNAVAILABLE after too
   * many attempts, or when the database does not respond. If the COMMIT had no response, its outcome is
   * unknown. A frozen process loses its transaction after a few seconds, so that its locks stop nobody for
   * longer; the body then runs again when the process continues.
   */
  transaction<T>(body: (trx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Runs `body` in a read-only transaction whose statements all read the same snapshot. */
  snapshot<T>(body: (trx: Transaction) => Promise<T>): Promise<T>;
  /**
   * Epoch ms by a clock that every process of this database shares: the server's, or on SQLite the machine's. For
   * times that one process writes and another compares within seconds.
   */
  nowMs(): Promise<number>;
  /**
   * Resolves once deleted and overwritten values are no longer in the files that this process writes: SQLite's
   * write-ahead log is written back and truncated. A server's files are the server's own business, so nothing
   * happens there. Rejects with UNAVAILABLE while readers prevent the truncation; a later call may succeed.
   */
  removeDeletedData(): Promise<void>;
  /** Rejects unless the database responds. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What happens to a row whose key exists. */
export type OnConflict =
  /** Rejects with a unique violation; see isUniqueViolation. */
  | "fail"
  /** Keeps the stored row (never INSERT IGNORE, which hides other errors). */
  | "keep"
  /** Overwrites these columns with the new row's values. */
  | { readonly overwrite: readonly string[] }
  /** Adds the new row's values to these columns, or appends its bytes; other columns stay. */
  | {
      readonly add: readonly string[];
      readonly append?: readonly string[];
      readonly overwrite?: readonly string[];
    };

/** A bound value: identifiers, names and keys as Buffers, instants as numbers of epoch milliseconds. */
export type Value = string | number | bigint | Buffer | null;

/**
 * Inserts rows in order by prepared multi-row statements (at most 512 rows each; the bulk path of each
 * engine), inside the transaction. The caller sorts rows by key, because unsorted upserts deadlock. After a
 * rejection some rows may be inserted, so the transaction must roll back. Unless `onConflict` is "fail",
 * `key` must be the table's only unique key, because MySQL treats a conflict on any unique key as a conflict
 * on `key`.
 */
export type InsertRows = (
  trx: Transaction,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly Value[])[],
  onConflict: OnConflict,
  /** Columns of the primary or unique key that a conflict concerns. */
  key: readonly string[],
) => Promise<void>;
