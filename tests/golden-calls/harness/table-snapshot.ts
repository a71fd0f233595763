// TableSnapshot reads every row of a database, and returns the rows that changed since the last reading.
import type { Database } from "@muster/db";
import { columnsOf } from "@muster/testkit";

export type Row = Readonly<Record<string, unknown>>;

/** How a row of one table was written between two readings. */
export interface RowChange {
  readonly table: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

/** Rows by table and primary key. */
type Reading = ReadonlyMap<string, ReadonlyMap<string, Row>>;

/** Tables of leases, heartbeats and throttled reports: their rows depend on timing. */
const VOLATILE_TABLES = new Set([
  "consumer_members", // Heartbeats.
  "outbox_consumers", // Written by a throttled report.
  "relay_cursors", // Saved now and then; what is published and not saved is published again.
  "relay_lease",
  "schema_migrations",
  "schema_migration_lock",
]);
/** All but the lease of a shard, and the last use of a key, which depends on when its verification is renewed. */
const STABLE_COLUMNS: Readonly<Record<string, readonly string[]>> = {
  api_keys: [
    "id",
    "organization_id",
    "name",
    "prefix",
    "key_hash",
    "scopes",
    "create_time_ms",
    "expire_time_ms",
    "is_rotated",
    "grant_up_to",
    "created_by",
  ],
  shard_cursors: ["consumer", "source", "shard", "position", "items_through"],
};

export class TableSnapshot {
  readonly #database: Database;
  readonly #keys: ReadonlyMap<string, readonly string[]>;
  #reading: Reading = new Map();

  private constructor(database: Database, keys: ReadonlyMap<string, readonly string[]>) {
    this.#database = database;
    this.#keys = keys;
  }

  static async open(database: Database): Promise<TableSnapshot> {
    const keys = new Map<string, readonly string[]>();
    for (const table of [...(await columnsOf(database)).keys()].sort()) {
      if (VOLATILE_TABLES.has(table)) continue;
      keys.set(table, await primaryKeyOf(database, table));
    }
    const snapshot = new TableSnapshot(database, keys);
    await snapshot.changes();
    return snapshot;
  }

  /** What was written since the last call, by table and primary key. */
  async changes(): Promise<RowChange[]> {
    const before = this.#reading;
    this.#reading = await this.#read();
    const changes: RowChange[] = [];
    for (const [table, rows] of this.#reading) {
      const old = before.get(table) ?? new Map<string, Row>();
      for (const key of [...new Set([...old.keys(), ...rows.keys()])].sort()) {
        const change = { table, before: old.get(key), after: rows.get(key) };
        if (textOf(change.before) !== textOf(change.after)) changes.push(change);
      }
    }
    return changes;
  }

  async #read(): Promise<Reading> {
    const tables = [...this.#keys].map(async ([table, key]) => {
      const rows: Row[] = await this.#database.reader(table).select(STABLE_COLUMNS[table] ?? "*");
      const keyOf = (row: Row): string => key.map((column) => sortable(row[column])).join("/");
      return [table, new Map(rows.map((row) => [keyOf(row), row]))] as const;
    });
    return new Map(await Promise.all(tables));
  }
}

function textOf(row: Row | undefined): string {
  return JSON.stringify(row, (_, value) => (typeof value === "bigint" ? String(value) : value)) ?? "";
}

/** Numbers in the order of their values, bytes in hex. */
function sortable(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return String(value).padStart(16, "0");
}

async function primaryKeyOf({ engine, reader }: Database, table: string): Promise<string[]> {
  if (engine === "sqlite") {
    const columns: { name: string; pk: number }[] = await reader("pragma_table_info")
      .select("name", "pk")
      .whereRaw("arg = ?", [table]);
    return columns
      .filter(({ pk }) => pk > 0)
      .sort((a, b) => a.pk - b.pk)
      .map(({ name }) => name);
  }
  const columns: { name: string }[] = await reader("information_schema.key_column_usage")
    .select({ name: "column_name" })
    .whereRaw("table_schema = database() and constraint_name = 'PRIMARY' and table_name = ?", [table])
    .orderBy("ordinal_position");
  return columns.map(({ name }) => name);
}
