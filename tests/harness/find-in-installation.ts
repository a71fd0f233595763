// Searches an installation for a text: all tables of all services, and the broker's streams.
import { join } from "node:path";
import { type Database, openMysql, openSqlite } from "@muster/db";
import { findInStreams, findInTables } from "@muster/testkit";
import type { Installation } from "./installation.ts";

const SERVICES = ["identity", "events", "segments"] as const;

/** "service.table.column" and "stream/sequence" of every value that contains the text. */
export async function findInInstallation(installation: Installation, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const service of SERVICES) {
    const database = await openDatabase(installation, service);
    try {
      for (const place of await findInTables(database, text)) found.push(`${service}.${place}`);
    } finally {
      await database.close();
    }
  }
  if (installation.mode === "production") {
    found.push(...(await findInStreams(installation.variables.MUSTER_NATS_PREFIX ?? "", text)));
  }
  return found;
}

function openDatabase({ mode, variables }: Installation, service: string): Promise<Database> {
  if (mode === "embedded") {
    return openSqlite({ path: join(variables.MUSTER_DATA_DIR ?? "", `${service}.sqlite`) });
  }
  const database = `${variables.MUSTER_DATABASE_PREFIX}${service}`;
  return openMysql({ url: variables.MUSTER_DATABASE_URL ?? "", database });
}
