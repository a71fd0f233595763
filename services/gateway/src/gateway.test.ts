import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import {
  BatchRecordEventsResponseSchema,
  RecordEventResponseSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { GetProfileResponseSchema } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { AppError } from "@muster/errors";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  send,
  startTestGateway,
  type TestGateway,
  type TestRequest,
  type TestResponse,
} from "./test-gateway.ts";

const JSON_TYPE = { "content-type": "application/json" };
const MEBIBYTE = 1024 * 1024;
let muster: TestGateway;

beforeAll(async () => {
  muster = await startTestGateway({ corsOrigins: ["https://app.example.com"] });
});
afterAll(() => muster.gateway.stop(1_000));
beforeEach(() => {
  muster.caller.calls = [];
  muster.caller.response = async (method) => ({
    message: create(method.output),
    headers: new Map(),
  });
});

const post = (path: string, body: TestRequest["body"], headers: Record<string, string> = JSON_TYPE) =>
  send(muster.port, path, { method: "POST", body, headers });

/** Every error response has this envelope. */
function expectEnvelope(response: TestResponse, status: number, reason: string): Record<string, unknown> {
  expect(response.status).toBe(status);
  expect(response.headers["content-type"]).toBe("application/json");
  const envelope = response.json();
  expect(Object.keys(envelope)).toEqual(["code", "reason", "message", "fields", "details", "request_id"]);
  expect(envelope.reason).toBe(reason);
  expect(envelope.request_id).toBe(response.headers["x-request-id"]);
  return envelope;
}

describe("fixed routes", () => {
  test("/version", async () => {
    const response = await send(muster.port, "/version");
    expect(response).toMatchObject({ status: 200, text: "v1" });
    expect(response.headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(response.headers["x-content-type-options"]).toBe("nosniff");
  });

  test("probes and metrics", async () => {
    expect(await send(muster.port, "/livez")).toMatchObject({ status: 200, text: "live\n" });
    expect(await send(muster.port, "/readyz?verbose")).toMatchObject({ status: 200, text: "ready\n" });
    const metrics = await send(muster.port, "/metrics");
    expect(metrics.text).toContain(
      'muster_http_request_duration_seconds_count{method="GET",route="/livez",status="200"}',
    );
  });

  test("no metrics where another port serves them", async () => {
    const other = await startTestGateway({ servesMetrics: false });
    expectEnvelope(await send(other.port, "/metrics"), 404, "ROUTE_NOT_FOUND");
    await other.gateway.stop(0);
  });

  test("HEAD, OPTIONS and other methods", async () => {
    const head = await send(muster.port, "/version", { method: "HEAD" });
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers["content-length"]).toBe("2");
    const options = await send(muster.port, "/version", { method: "OPTIONS" });
    expect(options.status).toBe(204);
    expect(options.headers.allow).toBe("GET, HEAD, OPTIONS");
    const refused = await send(muster.port, "/version", { method: "POST", body: "x" });
    expectEnvelope(refused, 405, "METHOD_NOT_ALLOWED");
    expect(refused.headers.allow).toBe("GET, HEAD, OPTIONS");
  });

  test("a process that is not ready", async () => {
    const starting = await startTestGateway({
      readiness: async () => ({ isReady: false, reason: "starting" }),
    });
    const response = await send(starting.port, "/readyz");
    expect(response).toMatchObject({ status: 503, text: "starting\n" });
    expect(response.headers["retry-after"]).toBe("1");
    await starting.gateway.stop(1_000);
  });
});

describe("bad input", () => {
  test.each<[string, string, TestRequest, number, string]>([
    ["no such route", "/nowhere", {}, 404, "ROUTE_NOT_FOUND"],
    ["trailing slash", "/v1/profiles/", {}, 404, "ROUTE_NOT_FOUND"],
    ["empty segment", "/v1/profiles//events", {}, 404, "ROUTE_NOT_FOUND"],
    ["no alias", "/api/events", { method: "POST", body: "{}", headers: JSON_TYPE }, 404, "ROUTE_NOT_FOUND"],
    ["wrong method", "/v1/profiles", { method: "DELETE" }, 405, "METHOD_NOT_ALLOWED"],
    ["unknown method of HTTP", "/v1/profiles", { method: "PROPFIND" }, 405, "METHOD_NOT_ALLOWED"],
    ["broken path", "/v1/profiles/%zz", {}, 400, "REQUEST_MALFORMED"],
    ["unknown parameter", "/v1/profiles?color=red", {}, 400, "REQUEST_MALFORMED"],
    [
      "broken JSON",
      "/v1/profiles",
      { method: "POST", body: "{", headers: JSON_TYPE },
      400,
      "REQUEST_MALFORMED",
    ],
    [
      "no JSON",
      "/v1/profiles",
      { method: "POST", body: "a=b", headers: { "content-type": "text/plain" } },
      415,
      "MEDIA_TYPE_UNSUPPORTED",
    ],
    ["no content type", "/v1/profiles", { method: "POST", body: "{}" }, 415, "MEDIA_TYPE_UNSUPPORTED"],
    [
      "unknown encoding",
      "/v1/profiles",
      { method: "POST", body: "{}", headers: { ...JSON_TYPE, "content-encoding": "zstd" } },
      415,
      "MEDIA_TYPE_UNSUPPORTED",
    ],
    [
      "no gzip",
      "/v1/profiles",
      { method: "POST", body: "{}", headers: { ...JSON_TYPE, "content-encoding": "gzip" } },
      400,
      "REQUEST_MALFORMED",
    ],
    ["a body of a GET", "/v1/profiles", { body: "{}", headers: JSON_TYPE }, 400, "REQUEST_MALFORMED"],
    ["a URL too long", `/v1/profiles?user_id=${"x".repeat(9_000)}`, {}, 413, "TOO_LARGE"],
    ["headers too large", "/v1/profiles", { headers: { "x-large": "x".repeat(17_000) } }, 413, "TOO_LARGE"],
  ])("%s", async (_, path, request, status, reason) => {
    const response = await send(muster.port, path, request);
    expectEnvelope(response, status, reason);
    if (status === 405) expect(response.headers.allow).toBeDefined();
    expect(muster.caller.calls).toEqual([]);
  });

  test("the field is named", async () => {
    const response = await post("/v1/events", '{"name":1}');
    expect(expectEnvelope(response, 400, "REQUEST_MALFORMED").fields).toEqual([
      { field: "name", message: "must be a string" },
    ]);
  });
});

describe("bodies", () => {
  const event = '{"user_id":"u","name":"n"}';

  test.each([
    ["gzip", gzipSync],
    ["x-gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
  ])("%s is inflated", async (encoding, compress) => {
    const response = await post("/v1/events", compress(event), {
      ...JSON_TYPE,
      "content-encoding": encoding,
    });
    expect(response.status).toBe(201);
    expect(muster.caller.last.request).toMatchObject({ event: { name: "n" } });
  });

  test.each([
    ["gzip", gzipSync(Buffer.alloc(64 * MEBIBYTE))],
    ["deflate", deflateSync(Buffer.alloc(20 * MEBIBYTE))],
    ["br", brotliCompressSync(Buffer.alloc(20 * MEBIBYTE))],
  ])("a bomb of %s is stopped at the limit", async (encoding, bomb) => {
    const before = process.memoryUsage().arrayBuffers;
    expectEnvelope(
      await post("/v1/events", bomb, { ...JSON_TYPE, "content-encoding": encoding }),
      413,
      "TOO_LARGE",
    );
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * MEBIBYTE);
  });

  test("a truncated stream of gzip", async () => {
    const half = gzipSync(event).subarray(0, 20);
    const response = await post("/v1/events", half, { ...JSON_TYPE, "content-encoding": "gzip" });
    expectEnvelope(response, 400, "REQUEST_MALFORMED");
  });

  test.each([false, true])("too large, chunked: %s", async (chunked) => {
    const body = Buffer.alloc(5 * MEBIBYTE, " ");
    const response = await send(muster.port, "/v1/events", {
      method: "POST",
      body,
      headers: JSON_TYPE,
      chunked,
    });
    expectEnvelope(response, 413, "TOO_LARGE");
  });

  test("as large as is allowed", async () => {
    const body = event.padEnd(4 * MEBIBYTE, " ");
    expect((await post("/v1/events", body)).status).toBe(201);
  });

  test("Expect: 100-continue gets a response before a body too large is sent", async () => {
    const response = await send(muster.port, "/v1/events", {
      method: "POST",
      headers: { ...JSON_TYPE, expect: "100-continue", "content-length": String(5 * MEBIBYTE) },
      body: undefined,
    }).catch((error: unknown) => error);
    expect(response).toMatchObject({ status: 413 });
  });

  test("more bodies than fit are turned away, and room is found again", async () => {
    const small = await startTestGateway({ limits: { bodies: { bytesMax: 1000, shareBytesMax: 1000 } } });
    small.caller.response = async () => ({ message: create(RecordEventResponseSchema), headers: new Map() });
    const large = JSON.stringify({ user_id: "u", name: "n", properties: { p: "x".repeat(1000) } });
    const turned = await send(small.port, "/v1/events", { method: "POST", body: large, headers: JSON_TYPE });
    expectEnvelope(turned, 429, "OVERLOADED");
    expect(turned.headers["retry-after"]).toBe("1");
    for (let round = 0; round < 100; round++) {
      const taken = await send(small.port, "/v1/events", { method: "POST", body: event, headers: JSON_TYPE });
      expect(taken.status).toBe(201);
    }
    await small.gateway.stop(1_000);
  });
});

describe("calls", () => {
  test("metadata: what clients may say and nothing of Muster's own", async () => {
    await post("/v1/events?consistency=eventual", "{}", {
      ...JSON_TYPE,
      authorization: "Bearer mk_x",
      "idempotency-key": "k",
      "x-request-id": "id-1",
      traceparent: "00-11111111111111111111111111111111-2222222222222222-01",
      "accept-language": "de",
      "muster-service-token": "forged",
      "muster-client-address": "203.0.113.9",
      "muster-http-status": "299",
      "user-agent": "curl/8.0",
      cookie: "c",
    });
    expect(Object.fromEntries(muster.caller.last.options.headers)).toEqual({
      authorization: "Bearer mk_x",
      "idempotency-key": "k",
      "x-request-id": "id-1",
      traceparent: "00-11111111111111111111111111111111-2222222222222222-01",
      "accept-language": "de",
      "muster-consistency": "eventual",
      "muster-service-token": "token-of-the-gateway",
      "muster-client-address": "127.0.0.1",
      "muster-client-user-agent": "curl/8.0",
    });
  });

  test("a deadline goes along", async () => {
    await post("/v1/events", "{}");
    const { deadlineMs } = muster.caller.last.options;
    expect((deadlineMs ?? 0) - Date.now()).toBeGreaterThan(20_000);
    expect((deadlineMs ?? 0) - Date.now()).toBeLessThan(30_001);
  });

  test("a method may take longer than others by its option", async () => {
    await post("/v1/segments:preview", JSON.stringify({ event_name: "viewed", min_count: 1 }));
    const { deadlineMs } = muster.caller.last.options;
    expect((deadlineMs ?? 0) - Date.now()).toBeGreaterThan(290_000);
  });

  test("HEAD and OPTIONS", async () => {
    muster.caller.response = async () => ({
      message: create(GetProfileResponseSchema, { profile: { id: "p" } }),
      headers: new Map(),
    });
    const get = await send(muster.port, "/v1/profiles/p");
    const head = await send(muster.port, "/v1/profiles/p", { method: "HEAD" });
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers["content-length"]).toBe(String(Buffer.byteLength(get.text)));
    const options = await send(muster.port, "/api/profiles/p", { method: "OPTIONS" });
    expect(options.status).toBe(204);
    expect(options.headers.allow).toBe("GET, HEAD, OPTIONS, PATCH");
  });

  test("OPTIONS of an RPC path", async () => {
    const path = "/muster.events.v1.EventService/RecordEvent";
    const response = await send(muster.port, path, { method: "OPTIONS" });
    expect(response).toMatchObject({ status: 204, headers: { allow: "OPTIONS, POST" } });
  });

  test("replays are marked, refused ones too", async () => {
    muster.caller.response = async () => ({
      message: create(BatchRecordEventsResponseSchema),
      headers: new Map([["idempotency-replayed", "true"]]),
    });
    const response = await post("/v1/events:batch", '{"events":[]}');
    expect(response.headers["idempotency-replayed"]).toBe("true");
    muster.caller.response = async () => {
      throw new AppError("EVENT_CONFLICT", { replayed: true, requestId: "first" });
    };
    const refused = await post("/v1/events", "{}");
    expect(refused.headers["idempotency-replayed"]).toBe("true");
    expect(refused.json().request_id).toBe("first");
  });

  test("request ids: kept if well formed, else made", async () => {
    expect(
      (await send(muster.port, "/version", { headers: { "x-request-id": "A.b_c-1" } })).headers[
        "x-request-id"
      ],
    ).toBe("A.b_c-1");
    for (const bad of ["", "a b", "x".repeat(129), "é"]) {
      const { headers } = await send(muster.port, "/version", {
        headers: { "x-request-id": Buffer.from(bad).toString("latin1") },
      });
      expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  test("a client that leaves cancels its call", async () => {
    const { promise: canceled, resolve } = Promise.withResolvers<void>();
    muster.caller.response = (_method, _request, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          resolve();
          reject(new AppError("CANCELED"));
        });
      });
    const abortController = new AbortController();
    const request = fetch(`http://127.0.0.1:${muster.port}/v1/profiles/p`, {
      signal: abortController.signal,
    });
    await waitFor(() => muster.caller.calls.length === 1);
    abortController.abort();
    await expect(request).rejects.toThrow();
    await canceled;
  });

  test("a defect reveals no details, and the log its location without personal data", async () => {
    muster.caller.response = async () => {
      throw new TypeError("secret detail");
    };
    const response = await send(muster.port, "/v1/profiles/p");
    expectEnvelope(response, 500, "INTERNAL");
    expect(response.text).not.toContain("secret");
    const line = await waitFor(() =>
      muster.logged().find((entry) => entry.request_id === response.headers["x-request-id"]),
    );
    expect(line).toMatchObject({ err: { type: "TypeError" } });
    expect(JSON.stringify(line)).toContain("gateway.test.ts");
    expect(JSON.stringify(line)).not.toContain("secret");
  });

  test("an absent service is logged once, and no refused request at level error", async () => {
    muster.caller.response = async () => {
      const cause = Object.assign(new Error("no connection"), { code: 14 });
      throw new AppError("UNAVAILABLE", { cause, retryAfterMs: 1000 });
    };
    const before = muster.logged().length;
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(Array.from({ length: 50 }, () => send(muster.port, "/v1/profiles/p")));
    }
    const lines = await waitFor(() => {
      const written = muster.logged().slice(before);
      return written.filter(({ msg }) => msg === "request").length === 1_000 ? written : undefined;
    });
    expect(lines.filter(({ msg }) => msg !== "request").map(({ msg, level }) => [msg, level])).toEqual([
      ["a service does not respond", 40],
    ]);
    expect(lines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  });

  test("the log names the template, not the path", async () => {
    const { headers } = await send(muster.port, "/v1/profiles/alice@example.com");
    const line = await waitFor(() =>
      muster.logged().find((entry) => entry.request_id === headers["x-request-id"]),
    );
    expect(line).toMatchObject({ http_method: "GET", route: "/v1/profiles/{profile_id}", status: 200 });
    expect(JSON.stringify(muster.logged())).not.toContain("alice");
  });
});

describe("languages", () => {
  test("the gateway's own errors follow Accept-Language, and vary by it and by origin", async () => {
    const headers = { "accept-language": "de-AT, en;q=0.5" };
    const refused = await send(muster.port, "/version", { method: "DELETE", headers });
    expect(expectEnvelope(refused, 405, "METHOD_NOT_ALLOWED").message).toBe(
      "Der Pfad nimmt diese Methode nicht an.",
    );
    expect(refused.headers).toMatchObject({ "content-language": "de", vary: "origin, accept-language" });
    const tooLong = await send(muster.port, `/v1/profiles?user_id=${"x".repeat(9_000)}`, { headers });
    expect(expectEnvelope(tooLong, 413, "TOO_LARGE").message).toBe("Die Anfrage ist zu groß.");
    const english = await send(muster.port, "/version", { method: "DELETE" });
    expect(english.headers["content-language"]).toBe("en");
  });
});

describe("other origins", () => {
  test("a page that the configuration names", async () => {
    const headers = { origin: "https://app.example.com" };
    const response = await send(muster.port, "/version", { headers });
    expect(response.headers).toMatchObject({ vary: "origin", "access-control-allow-origin": headers.origin });
    const preflight = await send(muster.port, "/v1/events", {
      method: "OPTIONS",
      headers: { ...headers, "access-control-request-method": "POST" },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers["access-control-allow-methods"]).toContain("POST");
    expect(preflight.headers["access-control-allow-headers"]).toContain("idempotency-key");
  });

  test("any other page", async () => {
    const headers = { origin: "https://evil.example", "access-control-request-method": "POST" };
    const response = await send(muster.port, "/v1/events", { method: "OPTIONS", headers });
    expect(response.headers["access-control-allow-origin"]).toBeUndefined();
    expect(response.headers["access-control-allow-methods"]).toBeUndefined();
  });
});
