// Inserts the history of a shop directly into the tables of the events service, as the product stores rows.
// The same events over REST would take longer than all measurements. A backfill reads the rows like any other
// history.
import { createHash, randomBytes } from "node:crypto";
import { type OrganizationId, type ProfileId, shardOf, uuidToBytes, uuidV7 } from "@muster/core";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { benchEvent } from "../events.ts";

export const DAY_MS = 86_400_000;
const HISTORY_DAYS = 90;
const ROWS = 1000;
/** Twelve names; a few are much more frequent than the others. */
const NAMES = [
  ...Array<string>(6).fill("product.viewed"),
  ...Array<string>(6).fill("page.viewed"),
  ...Array<string>(3).fill("cart.added"),
  ...["order.completed", "search.made", "wishlist.added", "review.written", "coupon.used", "order.returned"],
  ...["newsletter.opened", "support.asked", "app.opened"],
];
const CATEGORIES = ["shoes.women", "shoes.men", "bags", "coats"];

export interface History {
  readonly organizationId: OrganizationId;
  readonly profiles: number;
  readonly events: number;
  /** The instant after the last event. */
  readonly endMs: number;
}

type Cell = Buffer | string | number | null;

function userOf(index: number): string {
  return `shopper-${index}`;
}

/** Returns the ids of the profiles. */
export async function writeHistory(connection: Connection, history: History): Promise<ProfileId[]> {
  const ids = await writeProfiles(connection, history);
  const organization = uuidToBytes(history.organizationId);
  const stepMs = (HISTORY_DAYS * DAY_MS) / history.events;
  const startMs = history.endMs - HISTORY_DAYS * DAY_MS;
  const bytes = ids.map(uuidToBytes);
  const columns =
    "organization_id, day, event_id, profile_id, name, occurred_ms, received_ms, client_event_id, properties";
  await insertMany(connection, "tracked_events", columns, history.events, (n) => {
    const { properties } = benchEvent("history", n);
    const occurredMs = Math.floor(startMs + n * stepMs);
    const text = `history-${n}`;
    const digest = createHash("sha256").update(text).digest();
    const name = NAMES[digest.readUInt16BE(0) % NAMES.length] ?? "";
    const category = CATEGORIES[digest.readUInt8(2) % CATEGORIES.length];
    // A few profiles have many events, and most profiles have few.
    const profile = bytes[Math.floor(ids.length * (digest.readUInt32BE(3) / 2 ** 32) ** 1.5)] ?? null;
    return [
      organization,
      Math.floor(occurredMs / DAY_MS),
      uuidToBytes(uuidV7(occurredMs, digest)),
      profile,
      Buffer.from(name),
      occurredMs,
      occurredMs,
      Buffer.from(text),
      JSON.stringify({ ...properties, category, price: 5 + (digest.readUInt8(8) % 200) }),
    ];
  });
  return ids;
}

async function writeProfiles(connection: Connection, history: History): Promise<ProfileId[]> {
  const { organizationId, profiles, endMs } = history;
  const organization = uuidToBytes(organizationId);
  const createMs = endMs - HISTORY_DAYS * DAY_MS;
  const ids = Array.from(
    { length: profiles },
    (_, index) => uuidV7(createMs + index, randomBytes(10)) as ProfileId,
  );
  const columns =
    "organization_id, profile_id, shard, user_id, anonymous_id, email, name, traits, create_ms, update_ms";
  await insertMany(connection, "profiles", columns, profiles, (n) => {
    const id = ids[n] ?? ("" as ProfileId);
    const traits = JSON.stringify({ plan: n % 5 === 0 ? "gold" : "free", age: 18 + (n % 60) });
    const at = createMs + n;
    return [
      ...[organization, uuidToBytes(id), shardOf(organizationId, id), Buffer.from(userOf(n))],
      ...[null, null, null, traits, at, at],
    ];
  });
  const USER_ID = 1;
  const identities = ids.map((id, n) => ({ id, user: userOf(n) })).sort((a, b) => (a.user < b.user ? -1 : 1));
  await insertMany(
    connection,
    "profile_identities",
    "organization_id, kind, value, profile_id",
    profiles,
    (n) => {
      const { id, user } = identities[n] ?? { id: "" as ProfileId, user: "" };
      return [organization, USER_ID, Buffer.from(user), uuidToBytes(id)];
    },
  );
  return ids;
}

async function insertMany(
  connection: Connection,
  table: string,
  columns: string,
  count: number,
  rowOf: (n: number) => Cell[],
): Promise<void> {
  for (let start = 0; start < count; start += ROWS) {
    const rows = Array.from({ length: Math.min(ROWS, count - start) }, (_, index) => rowOf(start + index));
    await connection.query(`INSERT INTO ${table} (${columns}) VALUES ?`, [rows]);
    if (process.stderr.isTTY && start % 50_000 === 0)
      process.stderr.write(`\r${table}: ${start} of ${count}`);
  }
  await connection.query(`ANALYZE TABLE ${table}`);
}

/** Returns the only organization of the installation. */
export async function organizationOf(connection: Connection, identityDatabase: string): Promise<Buffer> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT id FROM ${identityDatabase}.organizations LIMIT 1`,
  );
  return rows[0]?.id;
}
