// Measures the lateness of exits when many profiles leave a segment in the same second, because a window
// ends.
import { systemClock, uuidToBytes } from "@muster/core";
import type { Connection, RowDataPacket } from "mysql2/promise";
import type { RestClient } from "../../harness/rest.ts";
import { latencies, round } from "../measure.ts";
import type { Row } from "../results.ts";
import { postBatch } from "./maintenance.ts";
import { createSegment } from "./reads.ts";

const BATCH = 500;

/** `connection` is a connection to the database of the segments service. */
export async function measureExits(rest: RestClient, connection: Connection, profiles: number): Promise<Row> {
  const windowMs = 20_000 + profiles;
  const id = await createSegment(rest, {
    name: "Leaving at once",
    rule: {
      performed: { event_name: "leaving", count: { at_least: 1 }, window: { last: `${windowMs / 1000}s` } },
    },
  });
  const happenedMs = systemClock.nowMs();
  for (let start = 0; start < profiles; start += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, profiles - start) }, (_, index) => ({
      user_id: `leaver-${start + index}`,
      name: "leaving",
      // Distributed over one second.
      timestamp: new Date(happenedMs + Math.floor(((start + index) * 1000) / profiles)).toISOString(),
      event_id: `leaving-${start + index}`,
    }));
    await postBatch(rest, JSON.stringify({ events }));
  }
  const members = async (): Promise<number> =>
    (await rest.get(`/v1/segments/${id}?consistency=eventual`)).body.member_count;
  while ((await members()) < profiles) await systemClock.sleep(50);
  const lastDueMs = happenedMs + 999 + windowMs;
  if (systemClock.nowMs() > happenedMs + windowMs) throw new Error("the window ended before all were in");
  await systemClock.sleep(lastDueMs - systemClock.nowMs());
  while ((await members()) > 0) await systemClock.sleep(10);
  const goneMs = systemClock.nowMs();
  const [rows] = await connection.query<RowDataPacket[]>(
    "SELECT changed_ms FROM memberships WHERE evaluation_id = ? AND member = 0 ORDER BY changed_ms",
    [uuidToBytes(id)],
  );
  // Both lists are ordered: the k-th due exit is compared with the k-th stored exit.
  const lateness = rows.map(
    (row, index) => row.changed_ms - (happenedMs + windowMs + (index * 1000) / profiles),
  );
  const { p50_ms, p99_ms } = latencies(lateness);
  return {
    part: `${profiles} exits due in one second`,
    "late p50_ms": p50_ms,
    "late p99_ms": p99_ms,
    "last one gone after its instant, ms": round(goneMs - lastDueMs),
  };
}
