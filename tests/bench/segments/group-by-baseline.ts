// Computes the baseline: GROUP BY over the raw events on each request, with the same server, events and run.
// The query runs on the table of the product, and on a copy with the covering index for such queries.
import { systemClock } from "@muster/core";
import type { Connection, RowDataPacket } from "mysql2/promise";
import { type Latencies, latencies } from "../measure.ts";
import { DAY_MS } from "./history.ts";

export interface CountQuery {
  readonly event_name: string;
  readonly min_count: number;
  readonly within_days?: number;
}

const INDEXED = "events_for_grouping";

export async function buildIndexedCopy(connection: Connection): Promise<void> {
  await connection.query(`CREATE TABLE ${INDEXED} (
    organization_id BINARY(16) NOT NULL, name VARBINARY(255) NOT NULL, profile_id BINARY(16) NOT NULL,
    occurred_ms BIGINT NOT NULL, KEY by_profile (organization_id, name, profile_id, occurred_ms),
    KEY by_time (organization_id, name, occurred_ms, profile_id))`);
  await connection.query(
    `INSERT INTO ${INDEXED} SELECT organization_id, name, profile_id, occurred_ms FROM tracked_events`,
  );
  await connection.query(`ANALYZE TABLE ${INDEXED}`);
}

/** Reads the first page of members. */
export async function measureGroupBy(
  connection: Connection,
  table: "tracked_events" | typeof INDEXED,
  organization: Buffer,
  queries: readonly CountQuery[],
  rounds: number,
): Promise<Latencies & { readonly members: string }> {
  const samples: number[] = [];
  const members: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const { event_name, min_count, within_days } of queries) {
      const sinceMs = within_days === undefined ? -1 : systemClock.nowMs() - within_days * DAY_MS;
      const startMs = systemClock.monotonicMs();
      const [rows] = await connection.query<RowDataPacket[]>(
        `SELECT profile_id FROM ${table} WHERE organization_id = ? AND name = ? AND occurred_ms > ?
         GROUP BY profile_id HAVING COUNT(*) >= ? ORDER BY profile_id LIMIT 50`,
        [organization, Buffer.from(event_name), sinceMs, min_count],
      );
      samples.push(systemClock.monotonicMs() - startMs);
      members.push(rows.length);
    }
  }
  return { ...latencies(samples), members: members.slice(0, queries.length).join("/") };
}

/** Checks the membership of a profile by an index walk over the events of the profile. */
export async function measureOneProfile(
  connection: Connection,
  organization: Buffer,
  profiles: readonly Buffer[],
  queries: readonly CountQuery[],
): Promise<Latencies> {
  const samples: number[] = [];
  for (const profile of profiles) {
    const startMs = systemClock.monotonicMs();
    for (const { event_name, within_days } of queries) {
      const sinceMs = within_days === undefined ? -1 : systemClock.nowMs() - within_days * DAY_MS;
      await connection.query(
        `SELECT COUNT(*) FROM tracked_events WHERE organization_id = ? AND profile_id = ? AND name = ?
         AND occurred_ms > ?`,
        [organization, profile, Buffer.from(event_name), sinceMs],
      );
    }
    samples.push(systemClock.monotonicMs() - startMs);
  }
  return latencies(samples);
}
