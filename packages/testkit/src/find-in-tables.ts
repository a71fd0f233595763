// Searches every table of a database for bytes.
import type { Database } from "@muster/db";

/** "table.column" of every value that contains the text or the bytes, once each. */
export async function findInTables(database: Database, text: string | Uint8Array): Promise<string[]> {
  const found = new Set<string>();
  for (const table of await tablesOf(database)) {
    const rows = await database.reader(table).select<Record<string, unknown>[]>("*");
    for (const row of rows) {
      for (const [column, value] of Object.entries(row)) {
        if (holds(value, text)) found.add(`${table}.${column}`);
      }
    }
  }
  return [...found].sort();
}

/** The tables of a database and their columns. */
export async function columnsOf(database: Database): Promise<Map<string, string[]>> {
  const columns = new Map<string, string[]>();
  for (const table of await tablesOf(database)) {
    columns.set(table, Object.keys(await database.reader(table).columnInfo()));
  }
  return columns;
}

async function tablesOf(database: Database): Promise<string[]> {
  const { reader, engine } = database;
  const rows: { name: string }[] =
    engine === "sqlite"
      ? await reader("sqlite_master").select("name").where("type", "table")
      : await reader("information_schema.tables")
          .select({ name: "table_name" })
          .whereRaw("table_schema = database()");
  return rows.map(({ name }) => name).filter((name) => !name.startsWith("sqlite_"));
}

function holds(value: unknown, text: string | Uint8Array): boolean {
  if (value instanceof Uint8Array)
    return Buffer.from(value).includes(typeof text === "string" ? text : Buffer.from(text));
  return typeof value === "string" && typeof text === "string" && value.includes(text);
}
