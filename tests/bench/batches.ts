// Measures batches of 500 events over REST, and an acknowledged stream over gRPC.
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  EventService,
  type IngestEventsRequest,
  IngestEventsRequestSchema,
  type IngestEventsResponse,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { systemClock } from "@muster/core";
import { grpcCaller } from "@muster/rpc";
import type { RestClient } from "../harness/rest.ts";
import { benchBatch, benchEvent } from "./events.ts";
import { runFor } from "./measure.ts";

const BATCH = 500;

export async function measureRestBatches(
  rest: RestClient,
  run: string,
  durationMs: number,
  lanes: number,
): Promise<{ perSecond: number; total: number }> {
  return runFor(durationMs, lanes, (call) => sendBatch(rest, run, call));
}

/** Sends one batch and retries as long as the server is busy. Returns the number of stored events. */
export async function sendBatch(rest: RestClient, run: string, batch: number): Promise<number> {
  const body = JSON.stringify({ events: benchBatch(run, batch, BATCH) });
  for (;;) {
    const response = await rest.post("/v1/events:batch", body);
    if (response.status === 200) return BATCH;
    if (response.status !== 429) throw new Error(`a batch got ${response.status}: ${response.text}`);
    await systemClock.sleep(1000 * Number(response.headers.get("retry-after") ?? 1));
  }
}

export async function measureGrpcStream(
  address: string,
  apiKey: string,
  run: string,
  durationMs: number,
): Promise<{ perSecond: number; total: number }> {
  const caller = grpcCaller({ address });
  const startMs = systemClock.monotonicMs();
  const { messages } = caller.stream(EventService.method.ingestEvents, requests(run, durationMs), {
    headers: new Map([["authorization", `Bearer ${apiKey}`]]),
    signal: new AbortController().signal,
  });
  let acked = 0;
  for await (const message of messages) {
    const response = message as IngestEventsResponse;
    if (response.failures.length > 0)
      throw new Error(`the stream refused events: ${response.failures[0]?.error?.message}`);
    acked = Number(response.ackedThrough);
  }
  const perSecond = Math.round((1000 * acked) / (systemClock.monotonicMs() - startMs));
  await caller.close();
  return { perSecond, total: acked };
}

async function* requests(run: string, durationMs: number): AsyncGenerator<IngestEventsRequest> {
  const startMs = systemClock.monotonicMs();
  for (let n = 1; systemClock.monotonicMs() - startMs < durationMs; n += 1) {
    const event = benchEvent(run, n);
    yield create(IngestEventsRequestSchema, {
      sequence: BigInt(n),
      event: {
        identity: { case: "userId", value: event.user_id },
        name: event.name,
        properties: JSON.stringify(event.properties),
        timestamp: timestampFromDate(new Date(event.timestamp)),
        eventId: event.event_id,
      },
    });
  }
}
