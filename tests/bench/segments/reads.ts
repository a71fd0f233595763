// Measures reads over REST from the view of a client: sequential requests on warm connections.
import { systemClock } from "@muster/core";
import type { RestClient, RestResponse } from "../../harness/rest.ts";
import { type Latencies, latencies } from "../measure.ts";

export async function timeReads(
  count: number,
  read: (call: number) => Promise<RestResponse>,
): Promise<Latencies> {
  const samples: number[] = [];
  for (let call = -5; call < count; call += 1) {
    const startMs = systemClock.monotonicMs();
    const response = await read(Math.max(0, call));
    // The first requests open connections and fill caches.
    if (call >= 0) samples.push(systemClock.monotonicMs() - startMs);
    if (response.status !== 200) throw new Error(`a read got ${response.status}: ${response.text}`);
  }
  return latencies(samples);
}

/** Waits until the backfill of the segment is complete. Returns the duration in milliseconds. */
export async function untilLive(rest: RestClient, segmentId: string): Promise<number> {
  const startMs = systemClock.monotonicMs();
  for (;;) {
    const { body } = await rest.get(`/v1/segments/${segmentId}?consistency=eventual`);
    if (body.state === "live") return systemClock.monotonicMs() - startMs;
    await systemClock.sleep(25);
  }
}

export async function createSegment(rest: RestClient, body: unknown): Promise<string> {
  const made = await rest.post("/v1/segments", body);
  if (made.status !== 201) throw new Error(`${JSON.stringify(body)} got ${made.status}: ${made.text}`);
  return made.body.id;
}
