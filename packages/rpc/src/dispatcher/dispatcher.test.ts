import { Writable } from "node:stream";
import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import { EmptySchema, FileDescriptorProtoSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import {
  type ApiKeyUsage,
  type CredentialPrincipal,
  type CredentialVerifier,
  type Principal,
  permissionsOf,
  type ServiceTokenClaims,
} from "@muster/authz";
import { EventInputSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import {
  Access,
  MethodPolicySchema,
  policy as policyOption,
  RateClass,
  StreamEnd,
} from "@muster/contracts/muster/options/v1/options_pb";
import type { OrganizationId } from "@muster/core";
import { AppError } from "@muster/errors";
import { createLogger, type Logger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { FakeClock } from "@muster/testkit";
import { describe, expect, test } from "vitest";
import type { CallContext } from "../handler.ts";
import { createDispatcher, type Dispatcher } from "./dispatcher.ts";

const DEMO = "0190a5b4-0000-7000-8000-00000000000d" as OrganizationId;

interface Shape {
  readonly policy: MessageInitShape<typeof MethodPolicySchema>;
  readonly clientStreaming?: boolean;
  readonly serverStreaming?: boolean;
  /** Empty by default. */
  readonly input?: DescMessage;
}

function filesOf(file: DescFile, found = new Map<string, DescFile>()): Map<string, DescFile> {
  found.set(file.proto.name, file);
  for (const dependency of file.dependencies) filesOf(dependency, found);
  return found;
}

type Policy = Shape["policy"];

/** A policy without gaps, for callers with the permission "events.read". */
const whole: Policy = {
  access: Access.PERMISSION,
  permission: "events.read",
  stepUp: false,
  sensitive: false,
  rateClass: RateClass.READ,
  auditAction: "none",
};
const wholeInternal: Policy = {
  ...whole,
  access: Access.INTERNAL,
  permission: "",
  callers: ["events"],
  rateClass: RateClass.UNLIMITED,
};
const wholePublic: Policy = {
  ...whole,
  access: Access.PUBLIC,
  permission: "",
  rateClass: RateClass.PUBLIC,
};

/** A service with a single method, Do, that returns Empty. */
function serviceOf({
  policy,
  clientStreaming = false,
  serverStreaming = false,
  input = EmptySchema,
}: Shape): DescService {
  const options = create(MethodOptionsSchema);
  setExtension(options, policyOption, create(MethodPolicySchema, policy));
  const files = filesOf(input.file, filesOf(EmptySchema.file));
  const types = { inputType: `.${input.typeName}`, outputType: ".google.protobuf.Empty" };
  const file = create(FileDescriptorProtoSchema, {
    name: "test.proto",
    package: "test",
    syntax: "proto3",
    dependency: [...new Set([input.file.proto.name, EmptySchema.file.proto.name])],
    service: [
      {
        name: "S",
        method: [{ name: "Do", ...types, options, clientStreaming, serverStreaming }],
      },
    ],
  });
  const registry = createFileRegistry(file, (name) => files.get(name)?.proto);
  const service = registry.getService("test.S");
  if (service === undefined) throw new Error("no service");
  return service;
}

interface Made {
  readonly dispatcher: Dispatcher;
  readonly clock: FakeClock;
  call(headers: Record<string, string>): Promise<Principal>;
}

interface Setting {
  readonly log?: Logger;
  readonly handler?: (context: CallContext) => Promise<object>;
  readonly isProduction?: boolean;
  readonly credentials?: CredentialVerifier;
  readonly usage?: ApiKeyUsage;
}

function made(shape: Shape, setting: Setting = {}): Made {
  const { handler, isProduction = false, log = deps.log, credentials = deps.credentials } = setting;
  const service = serviceOf(shape);
  const clock = new FakeClock();
  const seen: Principal[] = [];
  const dispatcher = createDispatcher({
    implementations: [
      {
        service,
        handlers: {
          do: async (_: unknown, context: CallContext) => {
            seen.push(context.principal);
            return (await handler?.(context)) ?? {};
          },
        },
      },
    ],
    ...deps,
    credentials,
    usage: setting.usage,
    log,
    clock,
    demoOrganizationId: isProduction ? undefined : DEMO,
  });
  const [method] = service.methods;
  if (method === undefined) throw new Error("no method");
  return {
    dispatcher,
    clock,
    async call(headers) {
      const { signal } = new AbortController();
      await dispatcher.unary(method, create(EmptySchema), {
        headers: new Map(Object.entries(headers)),
        signal,
      });
      const [principal] = seen;
      if (principal === undefined) throw new Error("no call");
      return principal;
    },
  };
}

const deps = {
  serviceName: "test",
  clock: new FakeClock(),
  log: createLogger({ level: "silent" }),
  metrics: new Metrics(),
  credentials: { verify: async () => undefined, onChange: () => () => {} },
  serviceTokens: { mint: () => "", verify: (text: string) => JSON.parse(text) as ServiceTokenClaims },
};

const token = (claims: ServiceTokenClaims): Record<string, string> => ({
  "muster-service-token": JSON.stringify(claims),
});

describe("construction refuses a method", () => {
  test.each<[string, Shape]>([
    ["states no access", { policy: { ...whole, access: Access.UNSPECIFIED } }],
    ["names no permission", { policy: { ...whole, permission: "" } }],
    ["names no permission of the table", { policy: { ...whole, permission: "events.reads" } }],
    ["names a permission", { policy: { ...wholePublic, permission: "events.read" } }],
    ["names a permission", { policy: { ...wholeInternal, permission: "events.read" } }],
    ["lists no callers", { policy: { ...wholeInternal, callers: [] } }],
    ["lists callers", { policy: { ...whole, callers: ["a"] } }],
    ["open to the demo", { policy: { ...wholeInternal, anonymousDemo: true } }],
    ["does not state step_up", { policy: { ...whole, stepUp: undefined } }],
    ["demands a step-up", { policy: { ...wholePublic, stepUp: true } }],
    ["does not state sensitive", { policy: { ...whole, sensitive: undefined } }],
    ["states no audit_action", { policy: { ...whole, auditAction: "" } }],
    ["states no audit_action", { policy: { ...whole, auditAction: "Segment created" } }],
    ["states no rate_class", { policy: { ...whole, rateClass: RateClass.UNSPECIFIED } }],
    ["has no limit and is not internal", { policy: { ...whole, rateClass: RateClass.UNLIMITED } }],
    ["is internal and has a limit", { policy: { ...wholeInternal, rateClass: RateClass.READ } }],
    ["is public and has no limit by address", { policy: { ...wholePublic, rateClass: RateClass.READ } }],
    ["streams requests only", { policy: whole, clientStreaming: true }],
    ["no idempotency", { policy: { ...whole, idempotencyLedger: true }, serverStreaming: true }],
    ["streams without a stream_end", { policy: whole, serverStreaming: true }],
    ["is unary and has a stream_end", { policy: { ...whole, streamEnd: StreamEnd.ENDLESS } }],
  ])("that %s", (gap, shape) => {
    expect(() => made(shape)).toThrow(gap);
  });

  test("that has no handler, or two", () => {
    const service = serviceOf({ policy: whole });
    expect(() => createDispatcher({ ...deps, implementations: [{ service, handlers: {} }] })).toThrow(
      "no handler",
    );
    const one = { service, handlers: { do: async () => ({}) } };
    expect(() => createDispatcher({ ...deps, implementations: [one, one] })).toThrow("twice");
  });
});

describe("acting for the demo organization", () => {
  const open: Shape = { policy: { ...whole, permission: "events.write", anonymousDemo: true } };

  test("is for the gateway's word, on methods that allow it, with that method's permission alone", async () => {
    const principal = await made(open).call(token({ service: "gateway", actAsDemo: true }));
    expect(principal).toMatchObject({ kind: "demo", organizationId: DEMO });
    if (principal.kind !== "demo") throw new Error("not the demo");
    expect(principal.permissions.has("events.write")).toBe(true);
    expect(principal.permissions.has("events.read")).toBe(false);
  });

  test.each<[string, Made, Record<string, string>]>([
    ["another service", made(open), token({ service: "events", actAsDemo: true })],
    ["the gateway without its word", made(open), token({ service: "gateway", actAsDemo: false })],
    [
      "a method that does not allow it",
      made({ policy: { ...whole, permission: "events.write" } }),
      token({ service: "gateway", actAsDemo: true }),
    ],
    [
      "an internal method",
      made({ policy: { ...wholeInternal, callers: ["gateway"] } }),
      token({ service: "gateway", actAsDemo: true }),
    ],
    [
      "a wrong key beside it",
      made(open),
      { ...token({ service: "gateway", actAsDemo: true }), authorization: "Bearer x" },
    ],
  ])("is not for %s", async (_, { call }, headers) => {
    await expect(call(headers)).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
  });

  test("is not there in production", async () => {
    const { call } = made(open, { isProduction: true });
    await expect(call(token({ service: "gateway", actAsDemo: true }))).rejects.toMatchObject({
      reason: "UNAUTHENTICATED",
    });
  });
});

describe("the access of a method", () => {
  const keys = {
    verify: async () => ({
      kind: "api_key" as const,
      id: "key",
      organizationId: DEMO,
      permissions: { has: () => true },
    }),
    onChange: () => () => {},
  };
  const key = { authorization: "Bearer mk_any" };

  test.each<[string, Record<string, string>]>([
    ["no credentials", {}],
    ["a credential that nobody issued", { authorization: "Bearer nonsense" }],
    ["a header of no known form", { authorization: "nonsense" }],
    ["a service's token", token({ service: "events", actAsDemo: false })],
    ["an API key", key],
  ])("public: %s makes an anonymous call without an organization", async (_, headers) => {
    const seen: CallContext[] = [];
    const handler = async (context: CallContext): Promise<object> => {
      seen.push(context);
      return {};
    };
    const { call } = made({ policy: wholePublic }, { handler, credentials: keys });
    expect(await call(headers)).toEqual({ kind: "anonymous", id: "anonymous" });
    expect(() => seen[0]?.organizationId).toThrow("no organization");
  });

  test("of a person: a key with every permission is refused", async () => {
    const policy = { ...whole, access: Access.PERSON, permission: "" };
    const { call } = made({ policy }, { credentials: keys });
    await expect(call(key)).rejects.toMatchObject({ reason: "PERMISSION_DENIED" });
    await expect(call({})).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
  });
});

describe("a unary call", () => {
  const internal: Shape = { policy: wholeInternal };
  const events = token({ service: "events", actAsDemo: false });

  test("has 30 seconds unless its caller sets a deadline", async () => {
    const { call, clock } = made(internal, { handler: () => new Promise(() => {}) });
    let outcome: unknown;
    call(events).catch((error: unknown) => {
      outcome = error;
    });
    await clock.advance(29_999);
    expect(outcome).toBeUndefined();
    await clock.advance(1);
    expect(outcome).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
    expect(clock.sleeperCount).toBe(0);
  });

  test("leaves no timer behind after the response", async () => {
    const { call, clock } = made(internal);
    await call(events);
    expect(clock.sleeperCount).toBe(0);
  });

  test("gets a request id of ours when its own is malformed, and no credentials show in the context", async () => {
    const seen: CallContext[] = [];
    const { call } = made(internal, {
      handler: async (context) => {
        seen.push(context);
        return {};
      },
    });
    await call({
      ...events,
      "x-request-id": "a b\n",
      traceparent: "garbage",
      "muster-consistency": "eventual",
    });
    const [context] = seen;
    expect(context?.requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(context).toMatchObject({ traceParent: "", eventual: true });
    expect([...(context?.requestHeaders.keys() ?? [])]).not.toContain("muster-service-token");
    expect(() => context?.organizationId).toThrow("no organization");
  });
});

test("a refused message fails a stream even if its handler makes nothing of it", async () => {
  const service = serviceOf({
    policy: { ...wholeInternal, streamEnd: StreamEnd.BOUNDED },
    clientStreaming: true,
    serverStreaming: true,
    input: EventInputSchema,
  });
  const [method] = service.methods;
  if (method === undefined) throw new Error("no method");
  const read: unknown[] = [];
  const dispatcher = createDispatcher({
    ...deps,
    implementations: [
      {
        service,
        handlers: {
          async *do(requests: AsyncIterable<unknown>) {
            try {
              for await (const request of requests) read.push(request);
            } catch {}
            yield {};
          },
        },
      },
    ],
  });
  async function* requests() {
    yield create(method?.input ?? EmptySchema, { name: "a", identity: { case: "userId", value: "13" } });
    yield create(method?.input ?? EmptySchema, { name: "", identity: { case: "userId", value: "13" } });
  }
  const { messages } = dispatcher.stream(method, requests(), {
    headers: new Map(Object.entries(token({ service: "events", actAsDemo: false }))),
    signal: new AbortController().signal,
  });
  const reading = async (): Promise<void> => {
    for await (const _ of messages);
  };
  await expect(reading()).rejects.toMatchObject({ reason: "FIELD_INVALID", fields: [{ field: "name" }] });
  expect(read).toHaveLength(1);
});

test("a call counts for the calling key once it is allowed, also when it fails", async () => {
  const counted: string[] = [];
  const verify = async (text: string): Promise<CredentialPrincipal | undefined> => {
    if (text === "unknown") return undefined;
    return { kind: "api_key", id: text, organizationId: DEMO, permissions: permissionsOf([text]) };
  };
  const { call } = made(
    { policy: { ...whole, permission: "events.read", anonymousDemo: true } },
    {
      credentials: { verify, onChange: () => () => {} },
      usage: { count: (apiKeyId) => counted.push(apiKeyId) },
      handler: async ({ principal }) => {
        if (principal.id === "*") throw new Error("fails");
        return {};
      },
    },
  );
  const as = (key: string) => call({ authorization: `Bearer ${key}` });
  await as("events.read");
  await as("events.read");
  await expect(as("*")).rejects.toThrow();
  await expect(as("events.write")).rejects.toMatchObject({ reason: "PERMISSION_DENIED" });
  await expect(as("unknown")).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
  await call(token({ service: "gateway", actAsDemo: true }));
  expect(counted).toEqual(["events.read", "events.read", "*"]);
});

test("an outage of a dependency has few lines besides the line of each call", async () => {
  let written = "";
  const destination = new Writable({
    write(chunk, _, done) {
      written += String(chunk);
      done();
    },
  });
  let failure: Error | undefined;
  const { call, clock } = made(
    { policy: { ...whole, anonymousDemo: true } },
    {
      log: createLogger({ level: "info", destination }),
      handler: async () => {
        if (failure !== undefined) throw failure;
        return {};
      },
    },
  );
  const failWith = async (makeFailure: () => Error): Promise<string[]> => {
    written = "";
    for (let count = 0; count < 1_000; count += 1) {
      failure = makeFailure();
      await call(token({ service: "gateway", actAsDemo: true })).catch(() => {});
    }
    failure = undefined;
    await clock.advance(40_000);
    await call(token({ service: "gateway", actAsDemo: true }));
    const lines = written
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { msg: string });
    expect(lines.filter(({ msg }) => msg === "call")).toHaveLength(1_001);
    return lines.map(({ msg }) => msg).filter((msg) => msg !== "call");
  };
  const refused = () => Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  expect(await failWith(() => new AppError("UNAVAILABLE", { cause: refused() }))).toEqual([
    "dependency failed",
    "the dependency works again",
  ]);
  expect(await failWith(() => new TypeError("x is undefined"))).toEqual([
    ...Array.from({ length: 10 }, () => "handler failed"),
    "the handler no longer fails",
  ]);
});
