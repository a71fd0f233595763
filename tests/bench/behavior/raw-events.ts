// Computes summaries and points from the raw events on each request, with the index of the profile timeline.
// Server, events and run are the same as for the read models.
import { systemClock } from "@muster/core";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { type RecentBehavior, RecentViews } from "../../../services/events/src/behavior/recent-views.ts";
import { type Latencies, latencies } from "../measure.ts";

export interface RawEvents {
  readonly connection: Connection;
  readonly organization: Buffer;
  /** Names and points of the catalog. */
  readonly prices: ReadonlyMap<string, number>;
}

export async function rawSummary(
  { connection, organization }: RawEvents,
  profile: Buffer,
): Promise<RecentBehavior> {
  const recent = new RecentViews(systemClock.nowMs());
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT occurred_ms, properties FROM tracked_events WHERE organization_id = ? AND profile_id = ?
     AND occurred_ms BETWEEN ? AND ? AND name = 'page.viewed'`,
    [organization, profile, recent.fromMs, recent.toMs],
  );
  for (const { occurred_ms, properties } of rows) {
    recent.add(Number(occurred_ms), String(JSON.parse(properties).name ?? ""));
  }
  return recent.summarize();
}

export async function rawPoints(
  { connection, organization, prices }: RawEvents,
  profile: Buffer,
): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT name, COUNT(*) AS count FROM tracked_events WHERE organization_id = ? AND profile_id = ? AND name IN (?)
     GROUP BY name`,
    [organization, profile, [...prices.keys()].map((name) => Buffer.from(name))],
  );
  return rows.reduce((sum, { name, count }) => sum + (prices.get(name.toString()) ?? 0) * Number(count), 0);
}

/**
 * Computes the points of all users. A page of users costs the same, because no index lists users with points.
 */
export async function rawPointsOfAll({ connection, organization, prices }: RawEvents): Promise<number> {
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT profile_id, name, COUNT(*) AS count FROM tracked_events WHERE organization_id = ? AND name IN (?)
     GROUP BY profile_id, name`,
    [organization, [...prices.keys()].map((name) => Buffer.from(name))],
  );
  return rows.length;
}

export async function timed(count: number, once: (call: number) => Promise<unknown>): Promise<Latencies> {
  const samples: number[] = [];
  for (let call = 0; call < count; call += 1) {
    const startMs = systemClock.monotonicMs();
    await once(call);
    samples.push(systemClock.monotonicMs() - startMs);
  }
  return latencies(samples);
}
