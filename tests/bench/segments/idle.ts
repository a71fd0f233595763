// Measures the cost of many idle profiles: no requests, no events, and no window ends.
import { systemClock } from "@muster/core";
import type { Connection, RowDataPacket } from "mysql2/promise";
import type { Installation } from "../../harness/installation.ts";
import { cpuSeconds, residentMiB, round } from "../measure.ts";
import type { Row } from "../results.ts";

const CHUNK = 100_000;
const HOUR_MS = 3_600_000;

/**
 * `connection` is a connection to the database of the segments service; `states` is the minimum number of
 * profile states.
 */
export async function measureIdle(
  installation: Installation,
  connection: Connection,
  { states, forMs }: { readonly states: number; readonly forMs: number },
): Promise<Row[]> {
  const maintained = await fillStates(connection, states);
  const before = new Map([...installation.processes].map(([target, { pid }]) => [target, cpuSeconds(pid)]));
  await systemClock.sleep(forMs);
  return [...installation.processes].map(([target, { pid }]) => ({
    part: `idle with ${maintained} profile states: ${target}`,
    "processor %": round((100_000 * (cpuSeconds(pid) - (before.get(target) ?? 0))) / forMs),
    "resident MiB": residentMiB(pid),
  }));
}

/** Copies the smallest state. The windows of the copies end an hour from now or later. */
async function fillStates(connection: Connection, wanted: number): Promise<number> {
  const count = async (): Promise<number> => {
    const [rows] = await connection.query<RowDataPacket[]>("SELECT COUNT(*) AS states FROM profile_states");
    return rows[0]?.states ?? 0;
  };
  const existing = await count();
  for (let start = existing; start < wanted; start += CHUNK) {
    const rows = Math.min(CHUNK, wanted - start);
    await connection.query(
      `INSERT INTO profile_states (organization_id, shard, profile_id, next_due_at, state)
       SELECT organization_id, seq MOD 16, UNHEX(REPLACE(UUID(), '-', '')), ?, state FROM seq_1_to_${rows}
       CROSS JOIN (SELECT organization_id, state FROM profile_states ORDER BY LENGTH(state) LIMIT 1) AS one`,
      [systemClock.nowMs() + HOUR_MS + start],
    );
  }
  return count();
}
