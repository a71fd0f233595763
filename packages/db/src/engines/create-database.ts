// Creates and drops databases on a MySQL server.
import { createConnection, type RowDataPacket } from "mysql2/promise";
import { databaseUnavailable } from "../port/database-errors.ts";
import { connectionSettings } from "./mysql-database.ts";
import { translateMysqlError } from "./mysql-errors.ts";

/** Creates a database if it is absent; an existing database needs no right to create databases. */
export async function createDatabaseIfAbsent(url: string, name: string): Promise<void> {
  await onServer(url, name, async (query) => {
    const found = await query("SELECT schema_name FROM information_schema.schemata WHERE schema_name = ?", [
      name,
    ]);
    if (found > 0) return;
    await query(`CREATE DATABASE IF NOT EXISTS \`${name}\` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`, []);
  });
}

export async function dropDatabase(url: string, name: string): Promise<void> {
  await onServer(url, name, async (query) => {
    await query(`DROP DATABASE IF EXISTS \`${name}\``, []);
  });
}

async function onServer(
  url: string,
  name: string,
  body: (query: (sql: string, values: string[]) => Promise<number>) => Promise<void>,
): Promise<void> {
  if (!/^[A-Za-z0-9_]{1,64}$/.test(name)) throw new Error(`not a valid database name: ${name}`);
  // "" ignores the database named in the URL, because that database may not exist yet.
  const connection = await createConnection(connectionSettings(url, "")).catch((error: unknown) => {
    throw databaseUnavailable(error);
  });
  try {
    await body(async (sql, values) => {
      const [rows] = await connection.query<RowDataPacket[]>(sql, values);
      return Array.isArray(rows) ? rows.length : 0;
    });
  } catch (error) {
    throw translateMysqlError(error);
  } finally {
    await connection.end();
  }
}
