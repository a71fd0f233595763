// Tests that headers alone decide about a caller: a refused body is neither awaited nor inflated nor decoded.
import { gzipSync } from "node:zlib";
import { AppError } from "@muster/errors";
import type { Admission } from "@muster/rpc";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { head, RawConnection, send, startTestGateway, type TestGateway } from "./test-gateway.ts";

/** Accepts "Bearer good"; "Bearer weak" lacks every permission. */
const admission: Admission = {
  async admit(_method, headers) {
    const authorization = headers.get("authorization");
    if (authorization !== "Bearer good" && authorization !== "Bearer weak")
      throw new AppError("UNAUTHENTICATED");
    if (authorization === "Bearer weak") throw new AppError("PERMISSION_DENIED");
    return { kind: "service", id: "good" };
  },
  async admitBody() {},
};

let muster: TestGateway;
beforeAll(async () => {
  muster = await startTestGateway({ admission });
});
afterAll(() => muster.gateway.stop(500));
beforeEach(() => {
  muster.caller.calls = [];
});

const mounts = [
  ["REST", "/v1/events", "application/json"],
  ["Connect, JSON", "/muster.events.v1.EventService/RecordEvent", "application/json"],
  ["Connect, binary", "/muster.events.v1.EventService/RecordEvent", "application/proto"],
  ["Connect, a stream", "/muster.events.v1.EventService/TailEvents", "application/connect+json"],
  ["gRPC-Web", "/muster.events.v1.EventService/RecordEvent", "application/grpc-web+proto"],
] as const;

test.each(mounts)("%s: a refusal awaits no byte of the body", async (_name, path, type) => {
  for (const [key, word] of [
    ["Bearer bad", "UNAUTHENTICATED"],
    ["Bearer weak", "PERMISSION_DENIED"],
  ] as const) {
    const connection = await RawConnection.open(muster.port);
    connection.send(
      head("POST", path, { "content-type": type, "content-length": 4_000_000, authorization: key }),
    );
    await connection.responses(1);
    // The details of gRPC-Web are base64 of protobuf, so the test searches for the message.
    const message = word === "UNAUTHENTICATED" ? "credentials" : "does not allow";
    expect(decodeURIComponent(connection.text)).toContain(message);
    connection.socket.destroy();
  }
  expect(muster.caller.calls).toEqual([]);
});

test.each(mounts)("%s: 401 and 403 come before 400, 413 and 415", async (_name, path, type) => {
  const statusOf = async (body: string | Uint8Array, headers: Record<string, string>) => {
    const response = await send(muster.port, path, { method: "POST", body, headers });
    return /credentials/.test(decodeURIComponent(response.text)) ? 401 : response.status;
  };
  const good = { "content-type": type };
  expect(await statusOf("{", good)).toBe(401);
  expect(await statusOf(new Uint8Array(5 * 1024 * 1024), good)).toBe(401);
  expect(await statusOf("{}", { "content-type": "text/x" })).toBe(401);
  expect(await statusOf("{}", { ...good, "content-encoding": "zstd", "grpc-timeout": "x" })).toBe(401);
});

test("gzip that inflates to a batch of empty events is not inflated for strangers", async () => {
  const body = gzipSync(`{"events":[${"{},".repeat(1_390_000)}{}]}`);
  const headers = { "content-type": "application/json", "content-encoding": "gzip" };
  const usage = process.cpuUsage();
  for (let round = 0; round < 20; round++) {
    const response = await send(muster.port, "/v1/events:batch", { method: "POST", body, headers });
    expect(response.status).toBe(401);
  }
  const { user, system } = process.cpuUsage(usage);
  // 20 requests cost about 20 ms. Before, decoding the bodies cost 30 s.
  expect(user + system).toBeLessThan(3_000_000);
});

test("Expect: 100-continue asks for the body of an admitted caller alone", async () => {
  const expecting = { "content-type": "application/json", "content-length": 2, expect: "100-continue" };
  const refused = (await RawConnection.open(muster.port)).send(head("POST", "/v1/events", expecting));
  expect(await refused.responses(1)).toEqual([401]);
  // The client may still send the body, so the connection cannot carry a second request.
  expect(refused.text.toLowerCase()).toContain("connection: close");
  const admitted = await RawConnection.open(muster.port);
  admitted.send(head("POST", "/v1/events", { ...expecting, authorization: "Bearer good" }));
  expect(await admitted.responses(1)).toEqual([100]);
  admitted.send("{}");
  expect(await admitted.responses(2)).toEqual([100, 501]);
  admitted.socket.destroy();
});
