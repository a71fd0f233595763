// Tests Connect and gRPC-Web with their stock clients, and access to the demo organization.
import { create, type DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "@muster/contracts/google/rpc/error_details_pb";
import {
  EventService,
  RecordEventResponseSchema,
  TailEventsResponseSchema,
} from "@muster/contracts/muster/events/v1/event_service_pb";
import { AppError, invalidField } from "@muster/errors";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { send, startTestGateway, type TestGateway } from "./test-gateway.ts";

let muster: TestGateway;

beforeAll(async () => {
  muster = await startTestGateway({ hasDemo: true });
});
afterAll(() => muster.gateway.stop(500));
beforeEach(() => {
  muster.caller.calls = [];
});

const forged: Interceptor = (next) => (request) => {
  request.header.set("authorization", "Bearer mk_x");
  request.header.set("muster-service-token", "forged");
  request.header.set("idempotency-key", "k");
  return next(request);
};

describe.each([
  [
    "Connect, binary",
    (baseUrl: string) => createConnectTransport({ baseUrl, useBinaryFormat: true, interceptors: [forged] }),
  ],
  ["Connect, JSON", (baseUrl: string) => createConnectTransport({ baseUrl, interceptors: [forged] })],
  ["gRPC-Web", (baseUrl: string) => createGrpcWebTransport({ baseUrl, interceptors: [forged] })],
])("%s", (name, transport) => {
  const client = <S extends DescService>(service: S) =>
    createClient(service, transport(`http://127.0.0.1:${muster.port}`));

  test("a unary call, with the metadata that clients may give", async () => {
    muster.caller.response = async () => ({
      message: create(RecordEventResponseSchema, { event: { name: "n" } }),
      headers: new Map([["idempotency-replayed", "true"]]),
    });
    let replayed: string | null = null;
    const request = { event: { identity: { case: "userId", value: "u" }, name: "n" } } as const;
    const response = await client(EventService).recordEvent(request, {
      onHeader: (headers) => {
        replayed = headers.get("idempotency-replayed");
      },
    });
    expect(response.event?.name).toBe("n");
    expect(replayed).toBe("true");
    const { headers } = muster.caller.last.options;
    expect(headers.get("authorization")).toBe("Bearer mk_x");
    expect(headers.get("idempotency-key")).toBe("k");
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers.get("muster-service-token")).toBe("token-of-the-gateway");
    expect(headers.get("muster-client-address")).toBe("127.0.0.1");
    expect((muster.caller.last.options.deadlineMs ?? 0) - Date.now()).toBeGreaterThan(20_000);
    await client(EventService).recordEvent(request, { timeoutMs: 5_000 });
    expect((muster.caller.last.options.deadlineMs ?? 0) - Date.now()).toBeLessThan(5_001);
  });

  test("errors keep their details", async () => {
    muster.caller.response = async () => {
      throw invalidField("event.name", "is too long");
    };
    const error = await client(EventService)
      .recordEvent({})
      .catch((failure: unknown) => ConnectError.from(failure));
    if (!(error instanceof ConnectError)) throw new Error("no failure");
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe("FIELD_INVALID");
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field).toBe("event.name");
  });

  test("a server stream, until the client leaves", async () => {
    let ended = false;
    muster.caller.messages = async function* ({ signal }) {
      try {
        yield create(TailEventsResponseSchema, { resumeToken: "1" });
        yield create(TailEventsResponseSchema, { resumeToken: "2" });
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new AppError("CANCELED"))),
        );
      } finally {
        ended = true;
      }
    };
    const stopping = new AbortController();
    const tokens: string[] = [];
    const reading = async () => {
      for await (const response of client(EventService).tailEvents({}, { signal: stopping.signal })) {
        tokens.push(response.resumeToken);
        if (tokens.length === 2) stopping.abort();
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: Code.Canceled });
    expect(tokens).toEqual(["1", "2"]);
    await waitFor(() => ended);
  });

  test("an endless stream ends with a status that says to reconnect when the gateway drains", async () => {
    const draining = await startTestGateway();
    draining.caller.messages = async function* ({ signal }) {
      yield create(TailEventsResponseSchema, { resumeToken: "1" });
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const tail = createClient(EventService, transport(`http://127.0.0.1:${draining.port}`)).tailEvents({});
    const messages = tail[Symbol.asyncIterator]();
    expect((await messages.next()).value?.resumeToken).toBe("1");
    const [failure] = await Promise.all([
      messages.next().catch((error: unknown) => ConnectError.from(error)),
      draining.gateway.stop(5_000),
    ]);
    if (!(failure instanceof ConnectError)) throw new Error("no failure");
    expect(failure.code).toBe(Code.Unavailable);
    expect(failure.rawMessage).toContain("Connect again");
    expect(failure.findDetails(RetryInfoSchema)).toHaveLength(1);
  });

  test("a body too large", async () => {
    const error = await client(EventService)
      .recordEvent({ event: { name: "x".repeat(5 * 1024 * 1024) } })
      .catch((failure: unknown) => ConnectError.from(failure));
    if (!(error instanceof ConnectError)) throw new Error("no failure");
    expect(error.findDetails(ErrorInfoSchema)[0]?.reason).toBe("TOO_LARGE");
    // A Connect client that retries resource_exhausted would send the message for ever.
    expect(error.code).toBe(name === "gRPC-Web" ? Code.ResourceExhausted : Code.InvalidArgument);
    expect(muster.caller.calls).toEqual([]);
  });
});

describe("the demo organization", () => {
  const tokenOf = async (headers: Record<string, string>, path = "/v1/profiles/p") => {
    muster.caller.response = async (method) => ({ message: create(method.output), headers: new Map() });
    const isRpc = path.startsWith("/muster");
    await send(muster.port, path, {
      method: isRpc ? "POST" : "GET",
      ...(isRpc ? { body: "{}" } : {}),
      headers: { "content-type": "application/json", ...headers },
    });
    return muster.caller.last.options.headers.get("muster-service-token");
  };

  test.each(["/v1/profiles/p", "/muster.events.v1.EventService/RecordEvent"])("%s", async (path) => {
    expect(await tokenOf({ host: "localhost" }, path)).toBe("token-of-the-demo");
    for (const headers of [
      { host: "localhost", authorization: "Bearer x" },
      { host: "muster.example", "muster-service-token": "forged" },
      { host: "localhost", "x-forwarded-for": "1.2.3.4" },
      { host: "localhost", origin: "https://evil.example" },
    ]) {
      expect(await tokenOf(headers, path), JSON.stringify(headers)).toBe("token-of-the-gateway");
    }
  });

  test("nobody acts for it in production", async () => {
    const production = await startTestGateway();
    production.caller.response = async (method) => ({ message: create(method.output), headers: new Map() });
    await send(production.port, "/v1/profiles/p", { headers: { host: "localhost" } });
    const { headers } = production.caller.last.options;
    expect(headers.get("muster-service-token")).toBe("token-of-the-gateway");
    await production.gateway.stop(500);
  });
});
