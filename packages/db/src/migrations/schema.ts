// Creates and changes tables, written once for every engine. Each step is a no-op when already done, because
// MySQL commits each step on its own and a crash can come between two.
import { assert } from "@muster/core";
import type { Knex } from "knex";
import type { Engine, Transaction } from "../port/database.ts";

export interface Column {
  readonly mysql: string;
  readonly sqlite: string;
  readonly isNullable: boolean;
  /** SQL of the default. Required when a column that is not nullable is added to a table with rows. */
  readonly defaultSql?: string;
  /** SQLite only: a check of what MySQL's type checks by itself. */
  readonly sqliteCheck?: (name: string) => string;
}

function column(mysql: string, sqlite: string): Column {
  return { mysql, sqlite, isNullable: false };
}

/** A UUID; bound and read as a Buffer of 16 bytes. */
export function id16(): Column {
  return { ...column("BINARY(16)", "BLOB"), sqliteCheck: (name) => `length(${name}) = 16` };
}

/** Identifiers, names and keys, compared byte for byte; bound and read as Buffers. */
export function bytes(lengthMax: number): Column {
  return column(`VARBINARY(${lengthMax})`, "BLOB");
}

/** Epoch milliseconds. */
export function instant(): Column {
  return column("BIGINT", "INTEGER");
}

/** A whole number up to 2^53 - 1 either way. */
export function integer(): Column {
  return column("BIGINT", "INTEGER");
}

/** 0 to 255: kinds, states, shards. */
export function tiny(): Column {
  return column("TINYINT UNSIGNED", "INTEGER");
}

/** Bound and read as 0 or 1. */
export function bool(): Column {
  return column("TINYINT UNSIGNED", "INTEGER");
}

/** JSON as text that the service writes and parses; never compared. */
export function json(): Column {
  return column("MEDIUMTEXT", "TEXT");
}

/** Text for display, never used for lookups; `lengthMax` in characters. */
export function text(lengthMax: number): Column {
  return column(`VARCHAR(${lengthMax})`, "TEXT");
}

/** Bytes up to 16 MiB. */
export function blob(): Column {
  return column("MEDIUMBLOB", "BLOB");
}

export function nullable(of: Column): Column {
  return { ...of, isNullable: true };
}

/** Adds a default, for columns that are added to tables with rows. */
export function withDefault(of: Column, value: number): Column {
  assert(Number.isSafeInteger(value), "a default must be a whole number");
  return { ...of, defaultSql: String(value) };
}

export interface Table {
  readonly columns: Readonly<Record<string, Column>>;
  readonly primaryKey: readonly string[];
  /** Maps names to columns. Names are unique in the schema, because isUniqueViolation compares them. */
  readonly unique?: Readonly<Record<string, readonly string[]>>;
  readonly indexes?: Readonly<Record<string, readonly string[]>>;
}

export class Schema {
  readonly engine: Engine;
  /** For data steps. On MySQL no transaction is open after a table has been created or changed. */
  readonly trx: Transaction;

  constructor(engine: Engine, trx: Transaction) {
    this.engine = engine;
    this.trx = trx;
  }

  async createTable(name: string, table: Table): Promise<void> {
    const isMysql = this.engine === "mysql";
    const parts = Object.entries(table.columns).map(([key, of]) => this.#define(key, of));
    parts.push(`PRIMARY KEY (${quoteAll(table.primaryKey)})`);
    if (isMysql) {
      for (const [key, columns] of Object.entries(table.unique ?? {})) {
        parts.push(`UNIQUE KEY ${quote(key)} (${quoteAll(columns)})`);
      }
      for (const [key, columns] of Object.entries(table.indexes ?? {})) {
        parts.push(`KEY ${quote(key)} (${quoteAll(columns)})`);
      }
    }
    const options = isMysql ? "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin" : "STRICT";
    await this.#run(`CREATE TABLE IF NOT EXISTS ${quote(name)} (${parts.join(", ")}) ${options}`);
    if (isMysql) return;
    for (const [key, columns] of Object.entries(table.unique ?? {})) await this.addUnique(name, key, columns);
    for (const [key, columns] of Object.entries(table.indexes ?? {})) await this.addIndex(name, key, columns);
  }

  async addColumn(table: string, name: string, of: Column): Promise<void> {
    if (await this.#hasColumn(table, name)) return;
    await this.#run(`ALTER TABLE ${quote(table)} ADD COLUMN ${this.#define(name, of)}`);
  }

  async dropColumn(table: string, name: string): Promise<void> {
    if (!(await this.#hasColumn(table, name))) return;
    await this.#run(`ALTER TABLE ${quote(table)} DROP COLUMN ${quote(name)}`);
  }

  async addIndex(table: string, name: string, columns: readonly string[]): Promise<void> {
    await this.#addIndex("INDEX", table, name, columns);
  }

  async addUnique(table: string, name: string, columns: readonly string[]): Promise<void> {
    await this.#addIndex("UNIQUE INDEX", table, name, columns);
  }

  async dropIndex(table: string, name: string): Promise<void> {
    if (!(await this.#hasIndex(table, name))) return;
    await this.#run(`DROP INDEX ${quote(name)}${this.engine === "mysql" ? ` ON ${quote(table)}` : ""}`);
  }

  async dropTable(name: string): Promise<void> {
    await this.#run(`DROP TABLE IF EXISTS ${quote(name)}`);
  }

  async #addIndex(kind: string, table: string, name: string, columns: readonly string[]): Promise<void> {
    if (await this.#hasIndex(table, name)) return;
    await this.#run(`CREATE ${kind} ${quote(name)} ON ${quote(table)} (${quoteAll(columns)})`);
  }

  #define(name: string, of: Column): string {
    const isSqlite = this.engine === "sqlite";
    const parts = [quote(name), isSqlite ? of.sqlite : of.mysql, of.isNullable ? "NULL" : "NOT NULL"];
    if (of.defaultSql !== undefined) parts.push(`DEFAULT ${of.defaultSql}`);
    if (isSqlite && of.sqliteCheck !== undefined) parts.push(`CHECK (${of.sqliteCheck(quote(name))})`);
    return parts.join(" ");
  }

  #hasColumn(table: string, name: string): Promise<boolean> {
    return this.#finds(
      this.engine === "sqlite"
        ? "SELECT 1 AS found FROM pragma_table_info(?) WHERE name = ?"
        : "SELECT 1 AS found FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? AND column_name = ? LIMIT 1",
      [table, name],
    );
  }

  #hasIndex(table: string, name: string): Promise<boolean> {
    return this.#finds(
      this.engine === "sqlite"
        ? "SELECT 1 AS found FROM pragma_index_list(?) WHERE name = ?"
        : "SELECT 1 AS found FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = ? AND index_name = ? LIMIT 1",
      [table, name],
    );
  }

  async #finds(sql: string, bindings: readonly string[]): Promise<boolean> {
    const result: unknown = await this.trx.raw(sql, bindings as Knex.RawBinding[]);
    const rows = this.engine === "mysql" && Array.isArray(result) ? (result[0] as unknown) : result;
    return Array.isArray(rows) && rows.length > 0;
  }

  async #run(sql: string): Promise<void> {
    await this.trx.raw(sql);
  }
}

function quoteAll(names: readonly string[]): string {
  return names.map(quote).join(", ");
}

function quote(name: string): string {
  assert(/^[a-z][a-z0-9_]*$/.test(name), `not a valid table, column or index name: ${name}`);
  return `\`${name}\``;
}
