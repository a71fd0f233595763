// A peer that resets a stream: it went away, unless that was the moment at which the call was over anyway.
import { once } from "node:events";
import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { create } from "@bufbuild/protobuf";
import {
  EventFeedService,
  GetPositionsRequestSchema,
} from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { systemClock } from "@muster/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GrpcCaller, grpcCaller } from "../src/index.ts";

const INTERNAL_ERROR = 2;
const RESET_AFTER_MS = 170;

let server: Http2Server;
let caller: GrpcCaller;

beforeAll(async () => {
  server = createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    setTimeout(() => stream.close(INTERNAL_ERROR), RESET_AFTER_MS);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  caller = grpcCaller({ address: `127.0.0.1:${(server.address() as AddressInfo).port}` });
});

afterAll(() => {
  caller.close();
  server.close();
});

function call(timeoutMs: number) {
  return caller.unary(EventFeedService.method.getPositions, create(GetPositionsRequestSchema), {
    headers: new Map(),
    signal: new AbortController().signal,
    deadlineMs: systemClock.nowMs() + timeoutMs,
  });
}

test("long before the deadline the peer is away", async () => {
  await expect(call(30_000)).rejects.toMatchObject({ reason: "UNAVAILABLE" });
});

test("just before it, the peer has kept the same deadline by its own timer", async () => {
  await expect(call(RESET_AFTER_MS + 30)).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
});
