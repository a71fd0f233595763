// Bytes that are no HTTP, clients that are slow, and the end of a gateway.
import { connect } from "node:net";
import { create } from "@bufbuild/protobuf";
import { GetProfileResponseSchema } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { AppError } from "@muster/errors";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  head,
  RawConnection,
  send,
  sendRaw,
  startTestGateway,
  type TestGateway,
  type TestResponse,
} from "./test-gateway.ts";

let muster: TestGateway;

beforeAll(async () => {
  muster = await startTestGateway({
    limits: { headersTimeoutMs: 300, requestTimeoutMs: 500, timeoutCheckMs: 50, keepAliveTimeoutMs: 200 },
  });
});
afterAll(() => muster.gateway.stop(1_000));

function expectRawEnvelope(response: string, status: number, reason: string): void {
  expect(response).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  const body = response.slice(response.indexOf("\r\n\r\n") + 4);
  expect(JSON.parse(body)).toMatchObject({ reason, request_id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  expect(response).toMatch(/\r\ncontent-language: en\r\nvary: .*accept-language\r\n/);
  expect(response.toLowerCase()).not.toContain("<html");
}

const CLOSE = "connection: close\r\n\r\n";
const TWO_KEYS = "authorization: Bearer a\r\nauthorization: Bearer b\r\n";

describe("malformed", () => {
  test.each([
    ["no HTTP at all", "\x16\x03\x01\x02\x00\r\n\r\n", 400, "REQUEST_MALFORMED"],
    ["a broken header", "GET /version HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", 400, "REQUEST_MALFORMED"],
    [
      "two lengths",
      "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
      400,
      "REQUEST_MALFORMED",
    ],
    [
      "length and chunks",
      "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
      400,
      "REQUEST_MALFORMED",
    ],
    [
      "a broken chunk",
      "POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
      400,
      "REQUEST_MALFORMED",
    ],
    [
      "headers too large",
      `GET /version HTTP/1.1\r\nhost: x\r\nx: ${"a".repeat(20_000)}\r\n\r\n`,
      413,
      "TOO_LARGE",
    ],
    ["CONNECT", "CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n", 405, "METHOD_NOT_ALLOWED"],
    ["two hosts", `GET /version HTTP/1.1\r\nhost: a\r\nhost: a\r\n${CLOSE}`, 400, "REQUEST_MALFORMED"],
    ["two credentials", `GET /version HTTP/1.1\r\nhost: a\r\n${TWO_KEYS}${CLOSE}`, 400, "REQUEST_MALFORMED"],
    ["a host with a blank", `GET /version HTTP/1.1\r\nhost: a b\r\n${CLOSE}`, 400, "REQUEST_MALFORMED"],
    ["a host with two ports", `GET /version HTTP/1.1\r\nhost: x:1:2\r\n${CLOSE}`, 400, "REQUEST_MALFORMED"],
    ["half an IPv6 host", `GET /version HTTP/1.1\r\nhost: [::\r\n${CLOSE}`, 400, "REQUEST_MALFORMED"],
    [
      "a broken host on an RPC path",
      `POST /muster.events.v1.EventService/RecordEvent HTTP/1.1\r\nhost: a b\r\n${CLOSE}`,
      400,
      "REQUEST_MALFORMED",
    ],
    ["no host", "GET /version HTTP/1.1\r\nconnection: close\r\n\r\n", 400, "REQUEST_MALFORMED"],
    [
      "an unknown expectation",
      "POST /nowhere HTTP/1.1\r\nhost: x\r\nexpect: tea\r\nconnection: close\r\n\r\n",
      404,
      "ROUTE_NOT_FOUND",
    ],
  ])("%s", async (_, bytes, status, reason) => {
    expectRawEnvelope(await sendRaw(muster.port, bytes), status, reason);
  });

  test("an absolute target is its path", async () => {
    const response = await sendRaw(
      muster.port,
      "GET http://muster.example/version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    expect(response).toMatch(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\nv1$/);
  });
});

describe("slow clients", () => {
  test("headers that never end", async () => {
    expectRawEnvelope(
      await sendRaw(muster.port, "GET /version HTTP/1.1\r\nhost: x\r\n"),
      408,
      "DEADLINE_EXCEEDED",
    );
  });

  test("a body that never ends", async () => {
    const bytes =
      "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    expectRawEnvelope(await sendRaw(muster.port, bytes), 408, "DEADLINE_EXCEEDED");
    expect(muster.caller.calls).toEqual([]);
  });

  test("a body that pauses is refused before the time of a request is over", async () => {
    const impatient = await startTestGateway({ limits: { bodyIdleTimeoutMs: 100 } });
    const bytes =
      "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    // The default time of a request is 30 s.
    const response = await sendRaw(impatient.port, bytes);
    expectRawEnvelope(response, 408, "DEADLINE_EXCEEDED");
    expect(response.toLowerCase()).toContain("connection: close");
    await impatient.gateway.stop(0);
  });

  test("bodies fill the share of their organization, not that of others", async () => {
    const small = await startTestGateway({ limits: { bodies: { bytesMax: 3_000, shareBytesMax: 1_500 } } });
    small.caller.response = async (method) => ({ message: create(method.output), headers: new Map() });
    const post = (authorization: string): Promise<TestResponse> =>
      send(small.port, "/v1/events", {
        method: "POST",
        body: JSON.stringify({ user_id: "u", name: "n", properties: { t: "x".repeat(500) } }),
        headers: { "content-type": "application/json", authorization },
      });
    const slow = await RawConnection.open(small.port);
    const headers = { "content-type": "application/json", "content-length": 1_200, authorization: "greedy" };
    slow.send(head("POST", "/v1/events", headers), "x".repeat(1_100));
    await waitFor(async () => (await post("greedy")).status === 429);
    expect((await post("other")).status).toBe(201);
    slow.socket.destroy();
    await waitFor(async () => (await post("greedy")).status === 201);
    await small.gateway.stop(0);
  });

  test("a read that takes too long is 503, a write is 504", async () => {
    const hanging = await startTestGateway({ limits: { readDeadlineMs: 100, deadlineMs: 300 } });
    hanging.caller.response = async (_method, _request, { deadlineMs = 0 }) => {
      await waitFor(() => Date.now() >= deadlineMs);
      throw new AppError("DEADLINE_EXCEEDED");
    };
    const read = await send(hanging.port, "/v1/profiles/p");
    expect(read.status).toBe(503);
    expect(read.headers["retry-after"]).toBe("1");
    expect(read.json()).toMatchObject({ reason: "NOT_YET_CONSISTENT" });
    const write = await send(hanging.port, "/v1/events", {
      method: "POST",
      body: '{"user_id":"u","name":"n"}',
      headers: { "content-type": "application/json" },
    });
    expect(write.status).toBe(504);
    await hanging.gateway.stop(0);
  });

  test("an idle connection is closed", async () => {
    const response = await sendRaw(muster.port, "GET /version HTTP/1.1\r\nhost: x\r\n\r\n");
    expect(response).toContain("200 OK");
  });

  test("a connection that does not read its response is cut", async () => {
    const patient = await startTestGateway({ limits: { idleTimeoutMs: 200 } });
    const name = "x".repeat(16 * 1024 * 1024);
    patient.caller.response = async () => ({
      message: create(GetProfileResponseSchema, { profile: { name } }),
      headers: new Map(),
    });
    const socket = connect(patient.port, "127.0.0.1", () => {
      socket.pause();
      socket.write("GET /v1/profiles/p HTTP/1.1\r\nhost: x\r\n\r\n");
    });
    socket.on("error", () => {});
    const { signal } = (await waitFor(() => patient.caller.calls[0])).options;
    await waitFor(() => signal.aborted);
    socket.destroy();
    await patient.gateway.stop(1_000);
  });
});

describe("the end", () => {
  test("requests in flight get responses, new connections are refused", async () => {
    const draining = await startTestGateway();
    const { promise, resolve } = Promise.withResolvers<void>();
    draining.caller.response = async (method) => {
      await promise;
      return { message: create(method.output), headers: new Map() };
    };
    const underWay = send(draining.port, "/v1/profiles/p");
    await waitFor(() => draining.caller.calls.length === 1);
    const stopped = draining.gateway.stop(5_000);
    await expect(send(draining.port, "/version")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    resolve();
    expect((await underWay).status).toBe(200);
    await stopped;
  });

  test("what does not end in time is cut", async () => {
    const draining = await startTestGateway();
    draining.caller.response = () => new Promise(() => {});
    const underWay = send(draining.port, "/v1/profiles/p");
    await waitFor(() => draining.caller.calls.length === 1);
    await draining.gateway.stop(50);
    await expect(underWay).rejects.toThrow();
  });

  test("a gateway that is leaving ends its connections", async () => {
    const draining = await startTestGateway();
    draining.gateway.notServing();
    const response = await sendRaw(draining.port, "GET /version HTTP/1.1\r\nhost: x\r\n\r\n");
    expect(response.toLowerCase()).toContain("connection: close");
    await draining.gateway.stop(1_000);
  });
});
