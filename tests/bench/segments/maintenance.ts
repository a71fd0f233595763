// Measures the cost of segments per event: the processor time of the segments process, and the rate of sent
// and applied events with all processes on this machine.
import { systemClock } from "@muster/core";
import type { Installation } from "../../harness/installation.ts";
import { runMuster } from "../../harness/process.ts";
import { RestClient } from "../../harness/rest.ts";
import { cpuSeconds, round } from "../measure.ts";
import type { Row } from "../results.ts";
import { createSegment, untilLive } from "./reads.ts";

const BATCH = 500;
const LANES = 4;
const USERS = 5000;
/** Every event affects this many segments, whatever the number of segments. */
const AFFECTED = 10;

/**
 * Uses a separate organization for each number of segments, including the default segment, so that only its
 * events are applied. All backfills finish before the measurement.
 */
export async function measureMaintenance(
  installation: Installation,
  segments: number,
  shape: "10 affected" | "all affected",
  events: number,
): Promise<Row> {
  const rest = await newOrganization(installation, `${shape} of ${segments}`);
  const ids: string[] = [];
  for (let index = 0; index < segments - 1; index += 1) {
    const isAffected = shape === "all affected" || index < AFFECTED;
    const segment = {
      name: `Kept ${index}`,
      event_name: isAffected ? "kept" : `other ${index}`,
      min_count: 1 + (index % 20),
      within_days: 1 + (index % 30),
    };
    ids.push(await createSegment(rest, segment));
  }
  for (const id of ids) await untilLive(rest, id);
  await send(rest, "warm", 2 * BATCH);
  await untilIdle(rest);
  const pid = installation.processes.get("segments")?.pid ?? 0;
  const startSeconds = cpuSeconds(pid);
  const startMs = systemClock.monotonicMs();
  await send(rest, "run", events);
  await untilIdle(rest);
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  return {
    part: `maintenance: ${segments} segments, ${shape}`,
    "processor microseconds an event": round(((cpuSeconds(pid) - startSeconds) * 1e6) / events, 1),
    "sent and applied, events/s": Math.round(events / seconds),
  };
}

async function newOrganization(installation: Installation, name: string): Promise<RestClient> {
  const { code, stdout, stderr } = await runMuster(
    ["create-organization", "--name", name],
    installation.variables,
  );
  if (code !== 0) throw new Error(stderr);
  const apiKey = /\bmk_[\w-]+/.exec(stdout)?.[0] ?? "";
  return new RestClient({ url: installation.url, apiKey });
}

async function send(rest: RestClient, run: string, events: number): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < events) {
      const start = next;
      next += BATCH;
      const nowMs = systemClock.nowMs();
      const body = JSON.stringify({
        events: Array.from({ length: Math.min(BATCH, events - start) }, (_, index) => ({
          user_id: `user-${((start + index) * 7919) % USERS}`,
          name: "kept",
          timestamp: new Date(nowMs - index).toISOString(),
          event_id: `${run}-${start + index}`,
          properties: { price: (start + index) % 100 },
        })),
      });
      await postBatch(rest, body);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** Retries as long as the server is busy. */
export async function postBatch(rest: RestClient, body: string): Promise<void> {
  for (;;) {
    const response = await rest.post("/v1/events:batch", body);
    if (response.status === 200) return;
    if (response.status !== 429) throw new Error(`a batch got ${response.status}: ${response.text}`);
    await systemClock.sleep(1000 * Number(response.headers.get("retry-after") ?? 1));
  }
}

async function untilIdle(rest: RestClient): Promise<void> {
  while ((await rest.get("/v1/segments/abandoned-cart")).status !== 200) await systemClock.sleep(20);
}
