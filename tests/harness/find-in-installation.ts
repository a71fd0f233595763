// Looks for a text in everything that an installation keeps: all tables of all services, and the broker's streams.
import { join } from "node:path";
import { type Database, openMysql, openSqlite } from "@muster/db";
import { findInTables } from "@muster/testkit";
import { connect } from "nats";
import type { Installation } from "./installation.ts";

const SERVICES = ["identity", "events", "segments"] as const;

/** "service.table.column" and "stream/sequence" of whatever contains the text. */
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
  if (installation.mode === "production") found.push(...(await findInStreams(installation, text)));
  return found;
}

function openDatabase({ mode, variables }: Installation, service: string): Promise<Database> {
  if (mode === "embedded") {
    return openSqlite({ path: join(variables.MUSTER_DATA_DIR ?? "", `${service}.sqlite`) });
  }
  const database = `${variables.MUSTER_DATABASE_PREFIX}${service}`;
  return openMysql({ url: variables.MUSTER_DATABASE_URL ?? "", database });
}

async function findInStreams({ variables }: Installation, text: string): Promise<string[]> {
  const found: string[] = [];
  const connection = await connect({ servers: variables.MUSTER_NATS_URL ?? "" });
  const manager = await connection.jetstreamManager();
  const prefix = `${variables.MUSTER_NATS_PREFIX}_`.toUpperCase();
  for await (const name of manager.streams.names()) {
    if (!name.startsWith(prefix)) continue;
    const { state } = await manager.streams.info(name);
    for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
      // Of those that were purged there is none.
      const message = await manager.streams.getMessage(name, { seq }).catch(() => undefined);
      if (message !== undefined && Buffer.from(message.data).includes(text)) found.push(`${name}/${seq}`);
    }
  }
  await connection.close();
  return found;
}
