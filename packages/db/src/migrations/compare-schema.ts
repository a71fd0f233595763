// Compares the tables and columns of a database with the recorded migrations. Records hold names of migrations, and
// a migration of the same name had other content in earlier commits.
import { PlainError } from "@muster/core";
import { withMemoryDatabase } from "../engines/sqlite-database.ts";
import type { Database, Queryable } from "../port/database.ts";
import { appliedMigrations, type Migration, migrationFiles } from "./migrate.ts";
import { Schema } from "./schema.ts";

/** The database has other tables or columns than its recorded migrations create in this version. */
export class DifferentSchema extends PlainError {
  override name = "DifferentSchema";
  /** The first difference, such as "lacks the table profiles". */
  readonly difference: string;

  constructor(difference: string) {
    super(`the database ${difference}`);
    this.difference = difference;
  }
}

/** Columns by table. */
type Columns = ReadonlyMap<string, ReadonlySet<string>>;

/**
 * Rejects with DifferentSchema if the database lacks a table or a column, or has an unknown column. Unknown tables
 * are ignored. The applied migrations run again, in a database in memory, because the text of a migration may have
 * changed in a comment only. On MySQL nothing is compared while a migration is missing: an interrupted migration
 * leaves a part of its changes.
 */
export async function requireMigratedSchema(database: Database, folder: URL): Promise<void> {
  const applied = await appliedMigrations(database);
  if (applied.size === 0) return;
  const all = await migrationFiles(folder);
  const files = all.filter(({ number }) => applied.has(number));
  if (database.engine === "mysql" && files.length < all.length) return;
  const expected = await withMemoryDatabase(async (trx) => {
    for (const { url } of files) {
      const { up } = (await import(url)) as Migration;
      await up(new Schema("sqlite", trx));
    }
    return columnsOf(trx, "sqlite");
  });
  const actual = await columnsOf(database.reader, database.engine);
  const [difference] = differencesOf(expected, actual);
  if (difference !== undefined) throw new DifferentSchema(difference);
}

function* differencesOf(expected: Columns, actual: Columns): Generator<string> {
  for (const [table, columns] of [...expected].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const found = actual.get(table);
    if (found === undefined) {
      yield `lacks the table ${table}`;
      continue;
    }
    for (const column of columns) if (!found.has(column)) yield `lacks the column ${table}.${column}`;
    for (const column of found) if (!columns.has(column)) yield `has the unknown column ${table}.${column}`;
  }
}

const COLUMN_QUERIES = {
  sqlite:
    "SELECT m.name AS table_name, c.name AS column_name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
  mysql:
    "SELECT table_name AS table_name, column_name AS column_name FROM information_schema.columns WHERE table_schema = DATABASE()",
} as const;

async function columnsOf(db: Queryable, engine: Database["engine"]): Promise<Columns> {
  const result: unknown = await db.raw(COLUMN_QUERIES[engine]);
  const rows = (engine === "mysql" && Array.isArray(result) ? result[0] : result) as readonly {
    readonly table_name: string;
    readonly column_name: string;
  }[];
  const columns = new Map<string, Set<string>>();
  for (const { table_name, column_name } of rows) {
    const own = columns.get(table_name) ?? new Set();
    columns.set(table_name, own.add(column_name));
  }
  return columns;
}
