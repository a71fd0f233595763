// Calls every RPC without authorization: without credentials, without the permission, and from outside where
// a method is internal. The methods come from descriptors. No call may reach its handler.
import { create, type DescMethod, type DescService } from "@bufbuild/protobuf";
import { type ApiKeyPrincipal, PERMISSIONS, permissionsOf, ServiceTokens } from "@muster/authz";
import { TARGETS } from "@muster/config";
import { Access } from "@muster/contracts/muster/options/v1/options_pb";
import { type OrganizationId, systemClock } from "@muster/core";
import { AppError } from "@muster/errors";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { createDispatcher, type Dispatcher, type ServiceImplementation } from "@muster/rpc";
import { describe, expect, test } from "vitest";
import { allServices, fullName, policyOf } from "./all-services.ts";

const services = await allServices();
const methods = services
  .flatMap((service) => service.methods)
  .map((method) => [fullName(method), method] as const);
const tokenKey = Buffer.alloc(32, 1);
const organizationId = "01900000-0000-7000-8000-000000000001" as OrganizationId;

const reached: string[] = [];

function stub(service: DescService): ServiceImplementation {
  const handlers = service.methods.map((method) => {
    const unary = async () => void reached.push(fullName(method));
    const stream = async function* () {
      reached.push(fullName(method));
      yield* [];
    };
    return [method.localName, method.methodKind === "unary" ? unary : stream];
  });
  return { service, handlers: Object.fromEntries(handlers) };
}

/** A dispatcher whose API keys contain their own list of scopes, separated by commas. */
const dispatcher: Dispatcher = createDispatcher({
  implementations: services.map(stub),
  serviceName: "test",
  clock: systemClock,
  log: createLogger({ level: "silent" }),
  metrics: new Metrics(),
  credentials: {
    verify: async (key): Promise<ApiKeyPrincipal | undefined> =>
      key.startsWith("mk_")
        ? { kind: "api_key", id: "key", organizationId, permissions: permissionsOf(key.slice(3).split("-")) }
        : undefined,
    onChange: () => () => {},
  },
  serviceTokens: tokensOf("events"),
  demoOrganizationId: organizationId,
});

function tokensOf(service: string): ServiceTokens {
  return new ServiceTokens({ service, key: tokenKey, clock: systemClock });
}

/** The reason of the refusal, or "REACHED". */
async function refusal(method: DescMethod, headers: Record<string, string>): Promise<string> {
  reached.length = 0;
  const options = { headers: new Map(Object.entries(headers)), signal: new AbortController().signal };
  const request = create(method.input);
  try {
    if (method.methodKind === "unary") await dispatcher.unary(method, request, options);
    else for await (const _ of dispatcher.stream(method, once(request), options).messages);
  } catch (error) {
    expect(reached).toEqual([]);
    return error instanceof AppError ? error.reason : String(error);
  }
  return "REACHED";
}

async function* once<T>(value: T): AsyncIterable<T> {
  yield value;
}

function key(permissions: Iterable<string>): Record<string, string> {
  return { authorization: `Bearer mk_${[...permissions].join("-")}` };
}

function token(service: string, actAsDemo = false): Record<string, string> {
  return { "muster-service-token": tokensOf(service).mint({ actAsDemo }) };
}

const isPublic = (method: DescMethod): boolean => policyOf(method).access === Access.PUBLIC;

describe.each(methods.filter(([, method]) => isPublic(method)))("%s, public", (_, method) => {
  test.each<[string, Record<string, string>]>([
    ["none", {}],
    ["garbage", { authorization: "garbage" }],
    ["an unknown key", { authorization: "Bearer nonsense" }],
    ["a key with everything", key(["*"])],
    ["a service's token", token("events")],
    ["the demo's token", token("gateway", true)],
  ])("ignores credentials: %s", async (_name, headers) => {
    const reason = await refusal(method, headers);
    // The request is empty, which a method may refuse as an invalid field.
    expect(["REACHED", "FIELD_INVALID"]).toContain(reason);
  });
});

describe.each(methods.filter(([, method]) => !isPublic(method)))("%s", (_, method) => {
  const { permission, access, callers, anonymousDemo } = policyOf(method);
  const refusals = ["UNAUTHENTICATED", "PERMISSION_DENIED"];

  if (access === Access.PUBLIC) {
    test("is refused for no caller, whatever the credentials", async () => {
      const credentials = [{}, { authorization: "Bearer nonsense" }, key([]), key(["*"]), token("events")];
      for (const headers of credentials) expect(refusals).not.toContain(await refusal(method, headers));
    });
    return;
  }

  if (access === Access.PARTNER) {
    test("is refused for no signature, and is no method of other mounts", async () => {
      const made = { "x-api-key": `mp_live_${"A".repeat(43)}`, "x-signature": `t=1,v1=${"0".repeat(64)}` };
      for (const headers of [{}, key(["*"]), token("gateway", true), made]) {
        expect(await refusal(method, { ...headers, ...token("gateway") })).toBe("UNAUTHENTICATED");
      }
      for (const headers of [{}, key(["*"]), token("events"), made]) {
        expect(await refusal(method, headers)).toBe("UNIMPLEMENTED");
      }
    });
    return;
  }

  test("without credentials, or with made-up ones", async () => {
    expect(await refusal(method, {})).toBe("UNAUTHENTICATED");
    expect(await refusal(method, { authorization: "Bearer nonsense" })).toBe("UNAUTHENTICATED");
    expect(await refusal(method, { "muster-service-token": "nonsense" })).toBe("UNAUTHENTICATED");
  });

  if (access === Access.CREDENTIAL) {
    test("another service is refused, an API key without scopes is not", async () => {
      for (const target of TARGETS) expect(refusals).toContain(await refusal(method, token(target)));
      expect(refusals).not.toContain(await refusal(method, key([])));
    });
    return;
  }

  test("with every permission but its own", async () => {
    const others = PERMISSIONS.filter((other) => !permissionsOf([other]).has(permission));
    expect(await refusal(method, key(others))).toBe("PERMISSION_DENIED");
  });

  test("as another service", async () => {
    const unauthorized = TARGETS.filter((target) => !callers.includes(target));
    for (const otherService of unauthorized) {
      expect(refusals, otherService).toContain(await refusal(method, token(otherService)));
    }
  });

  if (!anonymousDemo) {
    test("the demo is refused where it is not offered", async () => {
      expect(await refusal(method, token("gateway", true))).toBe("UNAUTHENTICATED");
    });
  }

  if (access === Access.PERMISSION) {
    test("with its permission it is not refused for its caller", async () => {
      expect(refusals).not.toContain(await refusal(method, key([permission])));
    });
    return;
  }

  test("an API key with everything is not enough", async () => {
    expect(await refusal(method, key(["*"]))).toBe("PERMISSION_DENIED");
  });

  if (access === Access.INTERNAL) {
    test("is not refused for a service that its policy lists", async () => {
      expect(refusals).not.toContain(await refusal(method, token(callers[0] ?? "")));
    });
  }
});
