// Calls every RPC with markers in every classified field and checks that no log line contains a marker,
// whatever the outcome of the call.
import { Writable } from "node:stream";
import { type DescMethod, type DescService, type Message, toBinary } from "@bufbuild/protobuf";
import { permissionsOf, ServiceTokens, type UserPrincipal } from "@muster/authz";
import { Access } from "@muster/contracts/muster/options/v1/options_pb";
import {
  type OrganizationId,
  type SessionId,
  type SigningKeyId,
  systemClock,
  type UserId,
} from "@muster/core";
import { AppError } from "@muster/errors";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { createDispatcher, type ServiceImplementation } from "@muster/rpc";
import { beforeEach, describe, expect, test } from "vitest";
import { allServices, fullName, policyOf } from "./all-services.ts";
import { MARKER, markedMessage, validMarkedMessage } from "./marked-message.ts";

const services = await allServices();
const methods = services
  .flatMap((service) => service.methods)
  .map((method) => [fullName(method), method] as const);
const organizationId = "01900000-0000-7000-8000-000000000001" as OrganizationId;
const tokenKey = Buffer.alloc(32, 1);
const USER_TOKEN = "header.user.signature";
const apiKey = {
  kind: "api_key",
  id: "key",
  organizationId,
  permissions: permissionsOf(["*"]),
} as const;
const user: UserPrincipal = {
  kind: "user",
  id: "01900000-0000-7000-8000-000000000002" as UserId,
  sessionId: "01900000-0000-7000-8000-000000000003" as SessionId,
  organizationId,
  role: "owner",
  permissions: permissionsOf(["*"]),
  authenticatedMs: Number.MAX_SAFE_INTEGER,
  stepUpMethods: ["password"],
  needsSecondFactor: false,
  signingKeyId: "01900000-0000-7000-8000-000000000004" as SigningKeyId,
  expireTimeMs: Number.MAX_SAFE_INTEGER,
};
/** The marker as text and in the usual encodings of bytes. */
const TRACES = [MARKER, ...(["hex", "base64"] as const).map((form) => Buffer.from(MARKER).toString(form))];

let lines = "";
const log = createLogger({
  level: "debug",
  destination: new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines += chunk.toString();
      done();
    },
  }),
});

/** The reached handler's response to its request. */
let handle: (method: DescMethod, request: unknown) => Message;
let isReached = false;

function stub(service: DescService): ServiceImplementation {
  const handlers = service.methods.map((method) => {
    const unary = async (request: unknown) => {
      isReached = true;
      return handle(method, request);
    };
    const stream = async function* (request: unknown) {
      isReached = true;
      yield handle(method, request);
    };
    return [method.localName, method.methodKind === "unary" ? unary : stream];
  });
  return { service, handlers: Object.fromEntries(handlers) };
}

const tokens = (service: string) => new ServiceTokens({ service, key: tokenKey, clock: systemClock });
const dispatcher = createDispatcher({
  implementations: services.map(stub),
  serviceName: "test",
  clock: systemClock,
  log,
  metrics: new Metrics(),
  credentials: {
    verify: async (credential) => (credential === USER_TOKEN ? user : apiKey),
    onChange: () => () => {},
  },
  serviceTokens: tokens("events"),
});

async function call(method: DescMethod, request: Message): Promise<void> {
  const { access, callers } = policyOf(method);
  const headers: Record<string, string> =
    access === Access.INTERNAL
      ? { "muster-service-token": tokens(callers[0] ?? "").mint({ actAsDemo: false }) }
      : { authorization: `Bearer ${access === Access.PERSON ? USER_TOKEN : "mk_any"}` };
  const options = { headers: new Map(Object.entries(headers)), signal: new AbortController().signal };
  try {
    if (method.methodKind === "unary") await dispatcher.unary(method, request, options);
    else for await (const _ of dispatcher.stream(method, once(request), options).messages);
  } catch {
    // The response is meant for the caller and may contain markers.
  }
}

async function* once<T>(value: T): AsyncIterable<T> {
  yield value;
}

function expectNoTrace(): void {
  expect(lines).not.toBe("");
  for (const trace of TRACES) expect(lines).not.toContain(trace);
}

beforeEach(() => {
  lines = "";
  isReached = false;
  handle = (method) => markedMessage(method.output);
});

describe.each(methods)("%s", (_, method) => {
  test("a response, and a request that breaks its rules", async () => {
    await call(method, validMarkedMessage(method.input));
    await call(method, markedMessage(method.input));
    expectNoTrace();
  });

  test("a refusal that quotes what was sent", async () => {
    handle = () => {
      const fields = [{ field: MARKER, message: MARKER }];
      throw new AppError("FIELD_INVALID", { message: MARKER, fields, details: { sent: MARKER } });
    };
    await call(method, validMarkedMessage(method.input));
    expectNoTrace();
  });

  test.each(["UNAVAILABLE", "INTERNAL"] as const)("a failure with its cause: %s", async (reason) => {
    handle = (_, request) => {
      const cause = Object.assign(new Error(MARKER), { sql: MARKER, request });
      throw new AppError(reason, { message: MARKER, cause });
    };
    await call(method, validMarkedMessage(method.input));
    expectNoTrace();
  });

  test("a defect that holds what was sent", async () => {
    handle = (_, request) => {
      throw Object.assign(new SyntaxError(MARKER, { cause: new Error(MARKER) }), {
        request,
        [MARKER]: MARKER,
      });
    };
    await call(method, validMarkedMessage(method.input));
    expectNoTrace();
    // The line is still useful: it shows the request as far as the classes allow.
    if (isReached && method.methodKind !== "bidi_streaming" && method.input.fields.length > 0) {
      expect(lines).toContain('"request":{');
    }
  });
});

test("most requests reach their handler with a marker in them", async () => {
  let reached = 0;
  let marked = 0;
  for (const [, method] of methods) {
    isReached = false;
    const request = validMarkedMessage(method.input);
    await call(method, request);
    if (isReached) reached += 1;
    if (isReached && Buffer.from(toBinary(method.input, request)).includes(MARKER)) marked += 1;
  }
  expect(reached).toBeGreaterThan(0.9 * methods.length);
  expect(marked).toBeGreaterThan(0.35 * methods.length);
});
