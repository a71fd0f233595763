// Stops a server while each streaming method is called. The methods come from descriptors: endless streams end
// at once with UNAVAILABLE and RetryInfo, and bounded streams finish.
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import { permissionsOf, ServiceTokens } from "@muster/authz";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { Access, StreamEnd } from "@muster/contracts/muster/options/v1/options_pb";
import { type OrganizationId, systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import {
  type CallContext,
  createDispatcher,
  type GrpcCaller,
  type GrpcServer,
  grpcCaller,
  type ServiceImplementation,
  startGrpcServer,
} from "@muster/rpc";
import { waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { allServices, fullName, policyOf } from "./all-services.ts";
import { validMarkedMessage } from "./marked-message.ts";

/** Sends many parts, at the speed of its reader. */
const LARGE = ExportService.method.exportProfile;
const LARGE_PARTS = 100;
/** All parts take longer than the keepalive of the caller, five seconds. */
const PART_MS = 75;
const PADDING = "x".repeat(64 * 1024);
const GRACE_MS = 10_000;
/** Long enough for a status to arrive that should not. */
const A_WHILE_MS = 200;

const services = await allServices();
const methods = services
  .flatMap((service) => service.methods)
  .filter((method) => method.methodKind !== "unary")
  .map((method) => [fullName(method), method] as const);
const endless = methods.filter(([, method]) => policyOf(method).streamEnd === StreamEnd.ENDLESS);
const bounded = methods.filter(
  ([, method]) => policyOf(method).streamEnd === StreamEnd.BOUNDED && method !== LARGE,
);
const bidirectional = methods.filter(([, method]) => method.methodKind === "bidi_streaming");
const tokenKey = Buffer.alloc(32, 1);
const log = createLogger({ level: "silent" });
const organizationId = "01900000-0000-7000-8000-000000000001" as OrganizationId;

/** Lets the handlers send their last message. */
let gate: PromiseWithResolvers<void>;
let server: GrpcServer;
let caller: GrpcCaller;

/** A message at the start, and one when the gate opens or the requests end. An export is larger than all buffers. */
function stub(service: DescService): ServiceImplementation {
  async function* stream(requests: unknown, context: CallContext) {
    yield {};
    if (context.method === LARGE) {
      for (let part = 1; part < LARGE_PARTS; part += 1) yield { records: [{ data: PADDING }] };
      return;
    }
    const { signal } = context;
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    if (context.method.methodKind === "bidi_streaming") {
      for await (const _ of requests as AsyncIterable<Message>) yield {};
    }
    await Promise.race([gate.promise, aborted]);
    yield {};
  }
  const unary = async () => {
    await gate.promise;
    return {};
  };
  const handlers = service.methods.map((method) => [
    method.localName,
    method.methodKind === "unary" ? unary : stream,
  ]);
  return { service, handlers: Object.fromEntries(handlers) };
}

beforeEach(async () => {
  gate = Promise.withResolvers();
  const dispatcher = createDispatcher({
    implementations: services.map(stub),
    serviceName: "test",
    clock: systemClock,
    log,
    metrics: new Metrics(),
    credentials: {
      verify: async () => ({ kind: "api_key", id: "key", organizationId, permissions: permissionsOf(["*"]) }),
      onChange: () => () => {},
    },
    serviceTokens: new ServiceTokens({ service: "events", key: tokenKey, clock: systemClock }),
  });
  server = await startGrpcServer({ dispatchers: [dispatcher], host: "127.0.0.1", port: 0, log });
  caller = grpcCaller({ address: server.address });
});
afterEach(async () => {
  gate.resolve();
  caller.close();
  await server.stop(0);
});

interface Called {
  messages: number;
  /** Undefined until the stream is over, null after a good end. */
  error: AppError | null | undefined;
}

async function* requestsOf(method: DescMethod, isClosed: boolean): AsyncIterable<Message> {
  yield validMarkedMessage(method.input);
  if (!isClosed) await new Promise<never>(() => {});
}

/** Calls the method; bidirectional streams stay open on the caller's side unless `isClosed`. */
function call(method: DescMethod, isClosed = false): Called {
  const { access, callers } = policyOf(method);
  const [service = ""] = callers;
  const headers: Record<string, string> =
    access === Access.INTERNAL
      ? { "muster-service-token": new ServiceTokens({ service, key: tokenKey, clock: systemClock }).mint() }
      : { authorization: "Bearer mk_any" };
  const called: Called = { messages: 0, error: undefined };
  const options = { headers: new Map(Object.entries(headers)), signal: new AbortController().signal };
  const read = async (): Promise<void> => {
    const isSingle = isClosed || method.methodKind === "server_streaming";
    const { messages } = caller.stream(method, requestsOf(method, isSingle), options);
    for await (const _ of messages) called.messages += 1;
  };
  read().then(
    () => {
      called.error = null;
    },
    (error: AppError) => {
      called.error = error;
    },
  );
  return called;
}

test("there are streams of each kind", () => {
  expect(endless.length).toBeGreaterThan(1);
  expect(bounded.length).toBeGreaterThan(2);
  expect(bidirectional).not.toEqual([]);
});

function expectGoingAway(error: AppError | null | undefined): void {
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({ reason: "UNAVAILABLE", retryAfterMs: 1_000 });
  expect(error?.message).toMatch(/going away/);
}

describe.each(endless)("the endless stream %s", (_, method) => {
  test("ends at once, and the server with it", async () => {
    const called = call(method);
    await waitFor(() => called.messages === 1);
    const stopped = server.stop(GRACE_MS);
    await waitFor(() => called.error !== undefined);
    expectGoingAway(called.error);
    await stopped;
  });
});

describe.each(bounded)("the bounded stream %s", (_, method) => {
  const expected = method.methodKind === "bidi_streaming" ? 3 : 2;

  test("finishes", async () => {
    const called = call(method, true);
    await waitFor(() => called.messages === expected - 1);
    const stopped = server.stop(GRACE_MS);
    await systemClock.sleep(A_WHILE_MS);
    expect(called.error).toBeUndefined();
    gate.resolve();
    await stopped;
    await waitFor(() => called.error !== undefined);
    expect(called).toEqual({ messages: expected, error: null });
  });

  test("ends with the grace", async () => {
    const called = call(method, true);
    await waitFor(() => called.messages === expected - 1);
    await server.stop(A_WHILE_MS);
    await waitFor(() => called.error !== undefined);
    expectGoingAway(called.error);
  });
});

describe.each(bidirectional)("the stream of requests %s", (_, method) => {
  test("is answered for what came, and then ends", async () => {
    const called = call(method);
    await waitFor(() => called.messages === 2);
    const stopped = server.stop(GRACE_MS);
    gate.resolve();
    await stopped;
    await waitFor(() => called.error !== undefined);
    expectGoingAway(called.error);
    expect(called.messages).toBe(3);
  });
});

test("a slow reader receives the whole stream of a server that stops", async () => {
  const options = {
    headers: new Map([["authorization", "Bearer mk_any"]]),
    signal: new AbortController().signal,
  };
  const { messages } = caller.stream(LARGE, requestsOf(LARGE, true), options);
  let parts = 0;
  let stopped: Promise<void> | undefined;
  for await (const _ of messages) {
    parts += 1;
    stopped ??= server.stop(GRACE_MS);
    await systemClock.sleep(PART_MS);
  }
  await stopped;
  expect(parts).toBe(LARGE_PARTS);
});
