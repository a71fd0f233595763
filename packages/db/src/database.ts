// The database port. Services see this and nothing of an engine.
import type { Knex } from "knex";

/** An open transaction: a knex query builder bound to it. */
export type Transaction = Knex.Transaction;
/** Anything that runs a query. */
export type Queryable = Knex | Knex.Transaction;
/** "mysql" stands for MariaDB, MySQL 8 and TiDB alike. */
export type Engine = "sqlite" | "mysql";

export interface Database {
  readonly engine: Engine;
  /** Single statements over committed data; never writes (the connection refuses). */
  readonly reader: Knex;
  /**
   * Runs `body` in a READ COMMITTED transaction and commits. On a deadlock, lock timeout or snapshot
   * conflict it rolls back and runs `body` again, so `body` does no I/O but this transaction's. After
   * too many, or when the database does not answer, it rejects with UNAVAILABLE; then, if it was the
   * COMMIT that got no answer, nobody knows whether it took effect.
   */
  transaction<T>(body: (trx: Transaction) => Promise<T>): Promise<T>;
  /** Runs `body` in a read-only transaction whose statements all see one instant. */
  snapshot<T>(body: (trx: Transaction) => Promise<T>): Promise<T>;
  /** Rejects unless the database answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What becomes of a row whose key is there already. */
export type OnConflict =
  /** The unique violation rejects; see isUniqueViolation. */
  | "fail"
  /** The stored row stays (never INSERT IGNORE, which hides other errors). */
  | "keep"
  /** These columns take the new row's values. */
  | { readonly overwrite: readonly string[] }
  /** These columns grow by the new row's values, bytes at their end; others stay. */
  | {
      readonly add: readonly string[];
      readonly append?: readonly string[];
      readonly overwrite?: readonly string[];
    };

/** A value as it is bound: identifiers, names and keys as Buffers, instants as epoch-ms numbers. */
export type Value = string | number | bigint | Buffer | null;

/**
 * Inserts rows in their order by prepared multi-row statements (<= 512 rows each; the bulk path of
 * each engine), inside the transaction. The caller sorts by key, for unsorted upserts deadlock.
 * After a rejection some rows may be in, so the transaction is to be given up. Unless `onConflict` is
 * "fail", `key` is the table's only unique key: MySQL takes a conflict on any for one on `key`.
 */
export type InsertRows = (
  trx: Transaction,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly Value[])[],
  onConflict: OnConflict,
  /** Columns of the primary or unique key that a conflict is about. */
  key: readonly string[],
) => Promise<void>;
