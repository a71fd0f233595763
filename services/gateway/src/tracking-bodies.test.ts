// Tests bodies of tracking clients: some routes accept JSON under other media types, up to a limit of their
// own.
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { send, startTestGateway, type TestGateway } from "./test-gateway.ts";

const FORM = "application/x-www-form-urlencoded";
const LIMIT_BYTES = 500_000;
let muster: TestGateway;

beforeAll(async () => {
  muster = await startTestGateway({ services: [EventService, TrackingService] });
});
afterAll(() => muster.gateway.stop(1_000));
beforeEach(() => {
  muster.caller.calls = [];
  muster.caller.response = async (method) => ({
    message: create(method.output, { success: true }),
    headers: new Map(),
  });
});

const post = (path: string, body: string | Uint8Array, headers: Record<string, string>) =>
  send(muster.port, path, { method: "POST", body, headers });

const batchOf = (bytes: number): string => {
  const frame = JSON.stringify({ batch: [{ type: "page", userId: "u" }], context: "" });
  return frame.replace('""', `"${"x".repeat(bytes - frame.length)}"`);
};

test("gzip'ed JSON labeled as a form is read as what it is", async () => {
  const body = gzipSync('{"batch":[{"type":"track","userId":"u","event":"x"}]}');
  const response = await post("/v1/batch", body, { "content-type": FORM, "content-encoding": "gzip" });
  expect([response.status, response.text]).toEqual([200, '{"success":true}']);
  expect(muster.caller.last.request).toMatchObject({ batch: [{ type: "track", userId: "u", event: "x" }] });
});

test.each(["text/plain;charset=UTF-8", FORM, ""])("JSON labeled %j, without compression", async (type) => {
  const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
  expect((await post("/v1/track", '{"userId":"u"}', headers)).status).toBe(200);
  expect((await post("/v1/events:batch", '{"events":[]}', headers)).status).toBe(415);
});

test("the limit of the route is to the byte, as sent and after inflation", async () => {
  const json = { "content-type": "application/json" };
  const zipped = { ...json, "content-encoding": "gzip" };
  expect((await post("/v1/batch", batchOf(LIMIT_BYTES), json)).status).toBe(200);
  expect((await post("/v1/batch", gzipSync(batchOf(LIMIT_BYTES)), zipped)).status).toBe(200);
  const refused = await post("/v1/batch", batchOf(LIMIT_BYTES + 1), json);
  expect(refused.json()).toMatchObject({ reason: "TOO_LARGE", details: { limit_bytes: "500000" } });
  expect(refused.status).toBe(413);
  expect((await post("/v1/batch", gzipSync(batchOf(LIMIT_BYTES + 1)), zipped)).status).toBe(413);
  const calls = muster.caller.calls.length;
  expect((await post("/v1/batch", gzipSync(Buffer.alloc(64 * 1024 * 1024)), zipped)).status).toBe(413);
  expect(muster.caller.calls).toHaveLength(calls);
});
