// Ends streams from outside: by the revocation of their key, and by a server that stops. By gRPC at the service,
// and by Connect and gRPC-Web at the gateway.
import { Code, ConnectError, createClient as createConnectClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { RetryInfoSchema } from "@muster/contracts/google/rpc/error_details_pb";
import { EventService, type TailEventsResponse } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { WatchSegmentResponse } from "@muster/contracts/muster/segments/v1/segment_watch_pb";
import { AppError } from "@muster/errors";
import { createClient, type GrpcCaller, grpcCaller } from "@muster/rpc";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

/** More than gRPC's windows and the server's buffers hold. */
const EXPORTED_EVENTS = 1_500;
const EVENT_PADDING = "x".repeat(2_000);

type Streamed = AsyncIterable<TailEventsResponse | WatchSegmentResponse>;

interface Followed {
  messages: number;
  error: unknown;
  isOver: boolean;
}

function follow(stream: Streamed): Followed {
  const followed: Followed = { messages: 0, error: undefined, isOver: false };
  const read = async (): Promise<void> => {
    for await (const _ of stream) followed.messages += 1;
  };
  read()
    .catch((error: unknown) => {
      followed.error = error;
    })
    .finally(() => {
      followed.isOver = true;
    });
  return followed;
}

/** The code of the error, and whether it carries a time to retry. */
function outcomeOf({ error }: Followed): { code: number; message: string; retries: boolean } {
  if (error instanceof AppError) {
    return { code: error.code, message: error.message, retries: error.retryAfterMs !== undefined };
  }
  const connectError = ConnectError.from(error);
  const retries = connectError.findDetails(RetryInfoSchema).length > 0;
  return { code: connectError.code, message: connectError.rawMessage, retries };
}

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;
  let events: GrpcCaller;
  let segments: GrpcCaller;

  beforeAll(async () => {
    // Longer than a loaded machine needs for the test.
    installation = await startInstallation(mode, { MUSTER_DRAIN_TIMEOUT_MS: "60000" });
    rest = new RestClient(installation);
    events = grpcCaller({ address: installation.eventsAddress });
    segments = grpcCaller({ address: installation.segmentsAddress });
  }, 180_000);
  afterAll(async () => {
    events?.close();
    segments?.close();
    await installation?.stop();
  });

  /** A tail and a watch by every protocol, each past its first message. */
  async function followAll(apiKey: string): Promise<Record<string, Followed>> {
    const headers = { authorization: `Bearer ${apiKey}` };
    const grpc = { headers: new Map(Object.entries(headers)) };
    const baseUrl = installation.url;
    const [connect, web] = [createConnectTransport({ baseUrl }), createGrpcWebTransport({ baseUrl })];
    const watched = { segmentId: "abandoned-cart" };
    const followed: Record<string, Followed> = {
      "gRPC tail": follow(createClient(EventService, events, grpc).tailEvents({})),
      "gRPC watch": follow(createClient(SegmentService, segments, grpc).watchSegment(watched)),
      "Connect tail": follow(createConnectClient(EventService, connect).tailEvents({}, { headers })),
      "Connect watch": follow(
        createConnectClient(SegmentService, connect).watchSegment(watched, { headers }),
      ),
      "gRPC-Web tail": follow(createConnectClient(EventService, web).tailEvents({}, { headers })),
      "gRPC-Web watch": follow(createConnectClient(SegmentService, web).watchSegment(watched, { headers })),
    };
    for (const [name, one] of Object.entries(followed)) {
      await waitFor(() => one.messages > 0, { what: name, timeoutMs: 15_000 });
    }
    return followed;
  }

  test("every stream ends within seconds when its key is deleted", { timeout: 120_000 }, async () => {
    const scopes = ["events.read", "segments.read"];
    const made = await rest.post("/v1/api-keys", { name: "streams", scopes });
    const revoked = await followAll(made.body.secret);
    const kept = await followAll(installation.apiKey);
    const deleted = await rest.request("DELETE", `/v1/api-keys/${made.body.api_key.id}`);
    expect(deleted.status).toBe(204);
    for (const [name, one] of Object.entries(revoked)) {
      await waitFor(() => one.isOver, { what: name, timeoutMs: 3_000 });
      expect(outcomeOf(one), name).toMatchObject({ code: Code.Unauthenticated });
    }
    expect(Object.values(kept).filter(({ isOver }) => isOver)).toEqual([]);
  });

  test("a server that stops finishes an export and ends its tails with a time to reconnect", {
    timeout: 60_000,
  }, async () => {
    const batch = Array.from({ length: EXPORTED_EVENTS }, () => ({
      user_id: "exported",
      name: "viewed",
      properties: { padding: EVENT_PADDING },
    }));
    for (let start = 0; start < batch.length; start += 500) {
      const sent = await rest.post("/v1/events:batch", { events: batch.slice(start, start + 500) });
      expect(sent.status).toBe(200);
    }
    const found = await rest.get("/v1/profiles?user_id=exported");
    const profileId = found.body.profiles[0].id;
    const headers = new Map([["authorization", `Bearer ${installation.apiKey}`]]);
    const followed = await followAll(installation.apiKey);
    const exporting = createClient(ExportService, events, { headers }).exportProfile({ profileId });
    const parts = exporting[Symbol.asyncIterator]();
    const first = await parts.next();
    let records = first.value?.records.length ?? 0;
    expect(records).toBeGreaterThan(0);

    const stopping = [...installation.processes.values()].map((process) => process.end("SIGTERM"));
    await waitFor(() => Object.values(followed).some(({ isOver }) => isOver), { timeoutMs: 20_000 });
    // At once, because the server ends the export of an idle reader.
    for (let part = await parts.next(); part.done !== true; part = await parts.next()) {
      records += part.value.records.length;
    }
    for (const [name, one] of Object.entries(followed)) {
      await waitFor(() => one.isOver, { what: name, timeoutMs: 20_000 });
      expect(outcomeOf(one), name).toMatchObject({ code: Code.Unavailable, retries: true });
      expect(outcomeOf(one).message, name).toMatch(/going away/);
    }
    expect(records).toBeGreaterThan(EXPORTED_EVENTS);
    await Promise.all(stopping);
  });
});
