// Measures the database baseline: the same rows, written by multi-row inserts of mysql2 into a table of the
// same shape.
import { createHash, randomBytes } from "node:crypto";
import { createConnection } from "mysql2/promise";
import { benchEvent } from "./events.ts";
import { runFor } from "./measure.ts";

const ROWS = 500;

export async function measureDatabaseBaseline(
  mysqlUrl: string,
  eventsDatabase: string,
  durationMs: number,
): Promise<{ perSecond: number }> {
  const connection = await createConnection({ uri: mysqlUrl, charset: "utf8mb4" });
  const database = `${eventsDatabase}_baseline`;
  await connection.query(`CREATE DATABASE ${database}`);
  await connection.query(`CREATE TABLE ${database}.tracked_events LIKE ${eventsDatabase}.tracked_events`);
  const columns = await columnNames(connection, eventsDatabase);
  const organization = randomBytes(16);
  const insert = `INSERT INTO ${database}.tracked_events (${columns.join(",")}) VALUES ?`;
  try {
    return await runFor(durationMs, 1, async (call) => {
      const rows = Array.from({ length: ROWS }, (_, index) =>
        row(columns, organization, call * ROWS + index),
      );
      await connection.query("START TRANSACTION");
      await connection.query(insert, [rows]);
      await connection.query("COMMIT");
      return ROWS;
    });
  } finally {
    await connection.query(`DROP DATABASE ${database}`);
    await connection.end();
  }
}

async function columnNames(
  connection: Awaited<ReturnType<typeof createConnection>>,
  database: string,
): Promise<string[]> {
  const [found] = await connection.query(
    "SELECT column_name AS name FROM information_schema.columns WHERE table_schema = ? AND table_name = 'tracked_events' ORDER BY ordinal_position",
    [database],
  );
  return (found as { name: string }[]).map(({ name }) => name);
}

/**
 * A row like the product stores for the n-th event: a time-ordered id, and a profile id from the hash of the
 * user.
 */
function row(
  columns: readonly string[],
  organization: Buffer,
  n: number,
): (Buffer | string | number | null)[] {
  const event = benchEvent("ceiling", n);
  const occurredMs = Date.parse(event.timestamp);
  const id = createHash("sha256").update(event.event_id).digest().subarray(0, 16);
  id.writeUIntBE(occurredMs, 0, 6);
  const values: Readonly<Record<string, Buffer | string | number | null>> = {
    organization_id: organization,
    day: Math.floor(occurredMs / 86_400_000),
    event_id: id,
    profile_id: createHash("md5").update(event.user_id).digest(),
    name: Buffer.from(event.name),
    occurred_ms: occurredMs,
    received_ms: occurredMs,
    client_event_id: Buffer.from(event.event_id),
    properties: JSON.stringify(event.properties),
  };
  return columns.map((column) => {
    const value = values[column];
    if (value === undefined) throw new Error(`the baseline has no value for column ${column}`);
    return value;
  });
}
