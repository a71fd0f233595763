// Tests public methods at the front: credentials are ignored, bodies are small, and clients are limited before
// a byte of the body is read.
import { gzipSync } from "node:zlib";
import { create } from "@bufbuild/protobuf";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { RateClass } from "@muster/contracts/muster/options/v1/options_pb";
import { systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import { MemoryRateLimiter } from "@muster/rate-limits";
import { createAdmission } from "@muster/rpc";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  head,
  RawConnection,
  send,
  startTestGateway,
  type TestGateway,
  type TestRequest,
} from "./test-gateway.ts";

const REQUESTS_MAX = 4;
const KIBIBYTE = 1024;
const PATH = "/muster.identity.v1.MagicLinkService/SendMagicLink";

let muster: TestGateway;

beforeEach(async () => {
  const limits = new Map([[RateClass.PUBLIC, { requestsMax: REQUESTS_MAX, windowSeconds: 60 }]]);
  muster = await startTestGateway({
    services: [MagicLinkService],
    trustedProxies: ["127.0.0.1"],
    admission: createAdmission({
      clock: systemClock,
      credentials: {
        verify: async () => {
          throw new AppError("UNAVAILABLE");
        },
        onChange: () => () => {},
      },
      serviceTokens: { mint: () => "token", verify: () => undefined },
      demoOrganizationId: undefined,
      limiter: new MemoryRateLimiter({ limits }),
    }),
  });
  muster.caller.response = async (method) => ({ message: create(method.output), headers: new Map() });
});
afterEach(() => muster.gateway.stop(500));

const mounts = [
  ["REST", "/v1/magic-link", "application/json"],
  ["REST under /api", "/api/magic-link", "application/json"],
  ["Connect, JSON", PATH, "application/json"],
  ["gRPC-Web, JSON", PATH, "application/grpc-web+json"],
] as const;

describe.each(mounts)("%s", (name, path, type) => {
  const isRest = name.startsWith("REST");
  const isFramed = name.startsWith("gRPC-Web");

  function post(text: string, headers: Record<string, string> = {}, more: Partial<TestRequest> = {}) {
    const body = isFramed ? framed(text) : text;
    return send(muster.port, path, {
      method: "POST",
      body,
      ...more,
      headers: { "content-type": type, ...headers },
    });
  }

  test.each(["Bearer expired", "Basic ???", "Bearer a, Bearer b", "Bearer \u00e9"])(
    "ignores the credential %j",
    async (key) => {
      const { status } = await post("{}", { authorization: key });
      expect(status).toBe(isRest ? 202 : 200);
      expect(muster.caller.calls).toHaveLength(1);
      expect(muster.caller.last.options.headers.has("authorization")).toBe(false);
    },
  );

  test("takes a body of 16 KiB and no larger one", async () => {
    const empty = JSON.stringify({ email: "" }).length;
    const jsonOf = (bytes: number) => JSON.stringify({ email: "x".repeat(bytes - empty) });
    expect((await post(jsonOf(16 * KIBIBYTE))).status).toBe(isRest ? 202 : 200);
    expect(muster.caller.calls).toHaveLength(1);
    const response = await post(jsonOf(16 * KIBIBYTE + 1));
    if (isRest) expect(response.status).toBe(413);
    else expect(decodeURIComponent(response.text)).toContain("at most 163");
    expect(muster.caller.calls).toHaveLength(1);
  });

  test.runIf(isRest)("takes no body that inflates to more than 16 KiB, nor one in pieces", async () => {
    const bomb = gzipSync("x".repeat(4 * KIBIBYTE * KIBIBYTE));
    expect(bomb.byteLength).toBeLessThan(16 * KIBIBYTE);
    expect((await post("", { "content-encoding": "gzip" }, { body: bomb })).status).toBe(413);
    expect((await post("x".repeat(17 * KIBIBYTE), {}, { chunked: true })).status).toBe(413);
    expect(muster.caller.calls).toHaveLength(0);
  });

  test("refuses a client above the limit before a byte of the body arrives", async () => {
    for (let request = 0; request < REQUESTS_MAX; request += 1) await post("{}");
    expect(muster.caller.calls).toHaveLength(REQUESTS_MAX);
    const connection = await RawConnection.open(muster.port);
    connection.send(head("POST", path, { "content-type": type, "content-length": 1_000 }));
    const [status] = await connection.responses(1);
    expect(status).toBe(isFramed ? 200 : 429);
    expect(decodeURIComponent(connection.text)).toContain("too many requests");
    if (!isFramed) expect(connection.text).toMatch(/\r\nretry-after: [1-9]\d?\r\n/i);
    connection.socket.destroy();
    expect(muster.caller.calls).toHaveLength(REQUESTS_MAX);
  });

  test("limits clients behind a proxy one by one, an IPv6 network as one client", async () => {
    const from = async (address: string) => {
      const before = muster.caller.calls.length;
      await post("{}", { "x-forwarded-for": address });
      return muster.caller.calls.length > before;
    };
    for (let request = 0; request < REQUESTS_MAX; request += 1) expect(await from("203.0.113.9")).toBe(true);
    expect(await from("203.0.113.9")).toBe(false);
    expect(await from("1.1.1.1, 203.0.113.9")).toBe(false);
    expect(await from("203.0.113.10")).toBe(true);
    for (let host = 1; host <= REQUESTS_MAX; host += 1) expect(await from(`2001:db8::${host}`)).toBe(true);
    expect(await from("2001:db8::ffff")).toBe(false);
    expect(await from("2001:db8:0:1::1")).toBe(true);
  });
});

function framed(text: string): Buffer {
  const message = Buffer.from(text);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
}
