// Tests every mount with the same suite: callers must not notice how a call travels.
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { AppError } from "@muster/errors";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ClientCallOptions, createClient, withServiceToken } from "../src/index.ts";
import { duplexMounts, type Mounted, mounts } from "./mounts.ts";
import { FULL_ERROR, newKey, ORGANIZATION, type TestModule, testModule, tokensOf } from "./test-module.ts";

const REQUEST_ID = "request-1";

function as(key: string, more: Record<string, string> = {}): ClientCallOptions {
  const headers = { authorization: `Bearer ${key}`, "x-request-id": REQUEST_ID, ...more };
  return { headers: new Map(Object.entries(headers)) };
}

const WRITER = as("writer");

async function failure(promise: Promise<unknown>): Promise<AppError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const message of messages) collected.push(message);
  return collected;
}

async function* ingest(...names: string[]) {
  for (const [index, name] of names.entries()) {
    yield { sequence: BigInt(index + 1), event: { name } };
  }
}

describe.each(Object.keys(mounts))("%s", (name) => {
  const isDuplex = duplexMounts.includes(name);
  const duplexTest = test.runIf(isDuplex);
  let module: TestModule;
  let mounted: Mounted;

  beforeAll(async () => {
    module = testModule();
    const mount = mounts[name];
    if (mount === undefined) throw new Error(name);
    mounted = await mount(module);
  });
  afterAll(() => mounted.close());
  beforeEach(() => {
    Object.assign(module.observed, { read: 0, yielded: 0, ended: 0 });
    module.observed.log.length = 0;
    module.observed.calls.length = 0;
  });

  const apiKeys = () => createClient(ApiKeyService, mounted.caller, WRITER);
  const organizations = () => createClient(OrganizationService, mounted.caller, WRITER);
  const eventsClient = () => createClient(EventService, mounted.caller, WRITER);

  describe("a response", () => {
    test("of a unary call, with the caller's organization and request id", async () => {
      const response = await apiKeys().createApiKey(newKey("Ada & Söhne"));
      expect(response.apiKey).toMatchObject({ id: ORGANIZATION, name: "Ada & Söhne" });
      expect(response.secret).toBe(REQUEST_ID);
    });

    test("of a server stream", async () => {
      const responses = await collect(eventsClient().tailEvents({}));
      expect(responses.map((response) => response.resumeToken)).toEqual(["attached"]);
      expect(module.observed.ended).toBe(1);
    });

    duplexTest("of a bidirectional stream, message by message", async () => {
      const responses = await collect(eventsClient().ingestEvents(ingest("a", "b", "c")));
      expect(responses.map((response) => response.ackedThrough)).toEqual([1n, 2n, 3n, -1n]);
    });

    duplexTest("while the caller's side of a stream stays open", async () => {
      const gate = Promise.withResolvers<void>();
      async function* requests() {
        yield { sequence: 1n, event: { name: "a" } };
        await gate.promise;
        yield { sequence: 2n, event: { name: "b" } };
      }
      const responses = eventsClient().ingestEvents(requests())[Symbol.asyncIterator]();
      expect((await responses.next()).value?.ackedThrough).toBe(1n);
      gate.resolve();
      expect((await responses.next()).value?.ackedThrough).toBe(2n);
      expect((await responses.next()).value?.ackedThrough).toBe(-1n);
      expect((await responses.next()).done).toBe(true);
    });

    duplexTest("ends a stream though the caller would continue", async () => {
      async function* endless() {
        yield { sequence: 1n, event: { name: "quits" } };
        await new Promise<never>(() => {});
      }
      expect(await collect(eventsClient().ingestEvents(endless()))).toEqual([]);
    });
  });

  describe("an error", () => {
    const whole = {
      reason: FULL_ERROR.reason,
      message: FULL_ERROR.message,
      fields: FULL_ERROR.fields,
      details: FULL_ERROR.details,
      retryAfterMs: FULL_ERROR.retryAfterMs,
      requestId: REQUEST_ID,
    };

    test("arrives whole from a unary call", async () => {
      expect(await failure(apiKeys().createApiKey(newKey("fails")))).toMatchObject(whole);
    });

    test("arrives whole from streams, before and after messages", async () => {
      const events = eventsClient();
      expect(await failure(collect(events.tailEvents({ names: ["fails at once"] })))).toMatchObject(whole);
      expect(await failure(collect(events.tailEvents({ names: ["fails"] })))).toMatchObject(whole);
      if (!isDuplex) return;
      expect(await failure(collect(events.ingestEvents(ingest("a", "fails"))))).toMatchObject(whole);
    });

    duplexTest("arrives whole while the handler still waits for a message", async () => {
      async function* requests() {
        yield* ingest("a", "fails while reading");
        await new Promise<never>(() => {});
      }
      expect(await failure(collect(eventsClient().ingestEvents(requests())))).toMatchObject(whole);
      // The handler has ended, and so has the pending read beside it.
      await waitFor(() => module.observed.ended === 2);
    });

    test.each(["throws", "rejects"])("of a defect says nothing of its cause (%s)", async (how) => {
      const error = await failure(apiKeys().createApiKey(newKey(how)));
      expect(error).toMatchObject({ reason: "INTERNAL", requestId: REQUEST_ID, details: {}, fields: [] });
      expect(JSON.stringify(error) + error.message).not.toContain("SELECT");
      expect(module.observed.log).toContainEqual({
        level: "error",
        message: "handler failed",
        fields: expect.objectContaining({
          request_id: REQUEST_ID,
          err: expect.objectContaining({ message: expect.stringContaining("SELECT") }),
        }),
      });
    });

    test("of a defect in a stream does not contain its cause", async () => {
      const events = eventsClient();
      const calls: Promise<unknown>[] = [collect(events.tailEvents({ names: ["throws"] }))];
      if (isDuplex) calls.push(collect(events.ingestEvents(ingest("throws"))));
      for (const call of calls.map(failure)) {
        const error = await call;
        expect(error).toMatchObject({ reason: "INTERNAL", requestId: REQUEST_ID });
        expect(error.message).not.toContain("SELECT");
      }
    });

    test("of validation names every field", async () => {
      const keys = createClient(ApiKeyService, mounted.caller, WRITER);
      const error = await failure(keys.createApiKey({ name: "", scopes: ["a", "x".repeat(65)] }));
      expect(error.reason).toBe("FIELD_INVALID");
      expect(error.fields.map(({ field }) => field)).toEqual(["name", "scopes[1]"]);
      expect(error.message).toMatch(/^name: /);
    });

    test("of validation shows at most twenty fields", async () => {
      const names = Array.from({ length: 90 }, () => "x".repeat(300));
      const error = await failure(collect(eventsClient().tailEvents({ names })));
      expect(error.reason).toBe("FIELD_INVALID");
      expect(error.fields.length).toBeGreaterThan(5);
      expect(error.fields.length).toBeLessThanOrEqual(20);
      expect(error.fields[0]?.field).toBe("names[0]");
    });
  });

  describe("time and cancellation", () => {
    const inMs = (ms: number): ClientCallOptions => ({ ...WRITER, deadlineMs: Date.now() + ms });

    test("a deadline ends the call though the handler hangs", async () => {
      const startMs = performance.now();
      const error = await failure(apiKeys().createApiKey(newKey("hangs"), inMs(150)));
      expect(error.reason).toBe("DEADLINE_EXCEEDED");
      expect(performance.now() - startMs).toBeLessThan(2000);
    });

    test("a deadline aborts the handler's signal", async () => {
      await failure(apiKeys().createApiKey(newKey("waits"), inMs(150)));
      await waitFor(() => module.observed.ended === 1);
      const reason = (module.observed.calls[0]?.signal.reason as AppError | undefined)?.reason;
      // A client over HTTP/1.1 closes its connection at the deadline, which the server may notice first.
      if (isDuplex) expect(reason).toBe("DEADLINE_EXCEEDED");
      else expect(["DEADLINE_EXCEEDED", "CANCELED"]).toContain(reason);
    });

    test("a deadline ends a stream whose handler hangs", async () => {
      const error = await failure(collect(eventsClient().tailEvents({ names: ["hangs"] }, inMs(150))));
      expect(error.reason).toBe("DEADLINE_EXCEEDED");
    });

    test("canceling a unary call aborts the handler's signal", async () => {
      const controller = new AbortController();
      const options = { ...WRITER, signal: controller.signal };
      const pending = failure(apiKeys().createApiKey(newKey("waits"), options));
      await waitFor(() => module.observed.calls.length === 1);
      controller.abort();
      expect((await pending).reason).toBe("CANCELED");
      await waitFor(() => module.observed.ended === 1);
    });

    test.each(["waits", "floods"])("leaving a stream ends its handler (%s)", async (behavior) => {
      for await (const _ of eventsClient().tailEvents({ names: [behavior, "10"] })) break;
      await waitFor(() => module.observed.calls[0]?.signal.aborted || module.observed.ended === 1);
    });

    duplexTest("canceling a bidirectional stream aborts the handler's signal", async () => {
      const controller = new AbortController();
      const options = { ...WRITER, signal: controller.signal };
      const pending = failure(collect(eventsClient().ingestEvents(ingest("stalls"), options)));
      await waitFor(() => module.observed.read === 1);
      controller.abort();
      expect((await pending).reason).toBe("CANCELED");
      await waitFor(() => module.observed.ended === 1);
    });
  });

  describe("backpressure", () => {
    duplexTest("a handler that does not read stops the sender", async () => {
      let sent = 0;
      async function* endless() {
        yield { sequence: 1n, event: { name: "stalls" } };
        for (;;) {
          sent += 1;
          yield { sequence: 1n, event: { name: "x".repeat(64 * 1024) } };
        }
      }
      const controller = new AbortController();
      const options = { ...WRITER, signal: controller.signal };
      const pending = failure(collect(eventsClient().ingestEvents(endless(), options)));
      await waitFor(() => module.observed.read === 1);
      await untilStable(() => sent);
      // 64 KiB each: a few windows and queues of 16 messages, independent of the sender's pace.
      expect(sent).toBeLessThan(300);
      controller.abort();
      await pending;
    });

    test("a caller that does not read stops the handler", async () => {
      const responses = eventsClient()
        .tailEvents({ names: ["floods", String(64 * 1024)] })
        [Symbol.asyncIterator]();
      await responses.next();
      await responses.next();
      await untilStable(() => module.observed.yielded);
      expect(module.observed.yielded).toBeLessThan(300);
      await responses.return?.();
    });
  });

  describe("who may call", () => {
    const call = (options: ClientCallOptions, name = "Acme") =>
      failure(apiKeys().createApiKey(newKey(name), options));
    const with_ = (headers: Record<string, string>): ClientCallOptions => ({
      headers: new Map(Object.entries(headers)),
    });

    test.each([
      {},
      { authorization: "Bearer nobody" },
      { authorization: "Bearer" },
      { authorization: "Digest writer" },
      { authorization: "Basic !!!" },
      { authorization: `Basic ${Buffer.from("writer").toString("base64")}` },
      { authorization: "Bearer writer extra" },
    ])("nobody with %j", async (headers) => {
      // An invalid message and a missing scope must not show through: 401 comes first.
      expect((await call(with_(headers), "")).reason).toBe("UNAUTHENTICATED");
      expect(module.observed.calls).toEqual([]);
    });

    test.each([
      "Bearer writer",
      "bearer writer",
      `Basic ${Buffer.from("writer:").toString("base64")}`,
      `bASIC ${Buffer.from("writer:ignored").toString("base64")}`,
    ])("a key by %s", async (authorization) => {
      const response = await apiKeys().createApiKey(newKey("Acme"), with_({ authorization }));
      expect(response.apiKey?.id).toBe(ORGANIZATION);
    });

    test("not a key without the method's permission, whatever it sends", async () => {
      expect(await call(as("reader"), "")).toMatchObject({
        reason: "PERMISSION_DENIED",
        details: { permission: "api_keys.write" },
      });
      await expect(organizations().listOrganizations({}, as("reader"))).resolves.toBeDefined();
    });

    test("not a key while identity is away: that is no 401", async () => {
      expect(await call(as("outage"))).toMatchObject({ reason: "UNAVAILABLE", retryAfterMs: 1000 });
    });

    test("streams are held to the same rules", async () => {
      const events = createClient(EventService, mounted.caller);
      expect((await failure(collect(events.tailEvents({})))).reason).toBe("UNAUTHENTICATED");
      const asReader = as("reader");
      expect((await failure(collect(events.ingestEvents(ingest("a"), asReader)))).reason).toBe(
        "PERMISSION_DENIED",
      );
      expect(module.observed.read).toBe(0);
    });
  });

  test("every call leaves one line and one observation", async () => {
    await apiKeys().createApiKey(newKey("Acme"));
    await failure(apiKeys().createApiKey(newKey("fails")));
    await collect(eventsClient().tailEvents({}));
    const lines = module.observed.log.filter((line) => line.message === "call").map(({ fields }) => fields);
    expect(lines).toMatchObject([
      {
        method: "muster.identity.v1.ApiKeyService/CreateApiKey",
        code: "ok",
        principal: "id-of-writer",
        organization_id: ORGANIZATION,
        request_id: REQUEST_ID,
      },
      { code: "already_exists", reason: "EVENT_CONFLICT" },
      { method: "muster.events.v1.EventService/TailEvents", code: "ok" },
    ]);
    expect(JSON.stringify(lines)).not.toContain("Bearer");
    const text = await module.metrics.text();
    expect(text).toMatch(
      /muster_rpc_duration_seconds_count\{method="muster\.identity\.v1\.ApiKeyService\/CreateApiKey",code="already_exists"\} [1-9]/,
    );
  });
});

/** Internal methods are served on the gRPC port and in the process, and not by the gateway's mounts. */
describe.each(["direct", "grpc-js"])("internal methods, %s", (name) => {
  let mounted: Mounted;
  beforeAll(async () => {
    const mount = mounts[name];
    if (mount === undefined) throw new Error(name);
    mounted = await mount(testModule());
  });
  afterAll(() => mounted.close());

  test("take a listed service's token", async () => {
    const feed = createClient(EventFeedService, withServiceToken(mounted.caller, tokensOf("segments")));
    expect((await feed.getPositions({})).positions).toEqual([1n, 2n]);
    expect(
      await collect(feed.scanProfileEvents({ organizationId: new Uint8Array(16), profileLimit: 1 })),
    ).toEqual([]);
  });

  test("refuse any other service, every key, and nobody at all", async () => {
    const other = createClient(EventFeedService, withServiceToken(mounted.caller, tokensOf("webhooks")));
    expect((await failure(other.getPositions({}))).reason).toBe("PERMISSION_DENIED");
    const plain = createClient(EventFeedService, mounted.caller);
    expect((await failure(plain.getPositions({}, WRITER))).reason).toBe("PERMISSION_DENIED");
    expect((await failure(plain.getPositions({}))).reason).toBe("UNAUTHENTICATED");
    expect(
      (await failure(plain.getPositions({}, { headers: new Map([["muster-service-token", "x"]]) }))).reason,
    ).toBe("UNAUTHENTICATED");
  });

  test("a service's token opens no other method", async () => {
    const client = createClient(OrganizationService, withServiceToken(mounted.caller, tokensOf("segments")));
    expect((await failure(client.listOrganizations({}))).reason).toBe("UNAUTHENTICATED");
  });
});

describe.each(["Connect", "gRPC-Web"])("internal methods, %s", (name) => {
  test("are not there", async () => {
    const mounted = await mounts[name]?.(testModule());
    if (mounted === undefined) throw new Error(name);
    const feed = createClient(EventFeedService, withServiceToken(mounted.caller, tokensOf("segments")));
    expect((await failure(feed.getPositions({}))).reason).toBe("UNIMPLEMENTED");
    await mounted.close();
  });
});

/** Waits until a count has stopped changing. */
async function untilStable(count: () => number): Promise<void> {
  let last = -1;
  let stillSinceMs = performance.now();
  await waitFor(() => {
    const now = count();
    if (now !== last) {
      last = now;
      stillSinceMs = performance.now();
    }
    return performance.now() - stillSinceMs > 200;
  });
}
