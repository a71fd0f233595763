// Searches an installation for a text: all tables of all services, the broker's streams, and the files that
// its processes write.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Database, openMysql, openSqlite } from "@muster/db";
import { findInStreams, findInTables } from "@muster/testkit";
import type { Installation } from "./installation.ts";

const SERVICES = ["identity", "events", "segments"] as const;

/** "service.table.column" and "stream/sequence" of every value that contains the text or the bytes. */
export async function findInInstallation(
  installation: Installation,
  text: string | Uint8Array,
): Promise<string[]> {
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

/** Path of every file in the installation's folder (data and logs) that contains the text. */
export async function findInFiles({ folder }: Installation, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await readFile(path)).includes(text)) found.push(path);
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
