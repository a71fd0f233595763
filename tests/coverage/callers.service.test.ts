// Calls every method as every kind of caller, and compares with the policies and the reviewed table of permissions.
// A real database of identity verifies the credentials; the handlers are stubs. The methods come from descriptors.
import { readFileSync } from "node:fs";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import {
  CachingCredentialVerifier,
  newApiKeySecret,
  PERMISSIONS,
  partnerDigest,
  permissionsOf,
  ROLES,
  type Role,
} from "@muster/authz";
import { Access, type MethodPolicy } from "@muster/contracts/muster/options/v1/options_pb";
import { type OrganizationId, randomIds, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { type CallContext, createDispatcher, type Dispatcher, type ServiceImplementation } from "@muster/rpc";
import { createPartnerDirect, ownCredentials } from "@muster/service-identity";
import { ENGINES } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { insertApiKey } from "../../services/identity/src/api-keys/api-key-store.ts";
import { issueApiKey } from "../../services/identity/src/api-keys/issue-api-key.ts";
import {
  lockOrganization,
  saveOrganization,
} from "../../services/identity/src/organizations/organization-store.ts";
import { ownPartnerVerifier } from "../../services/identity/src/partners/verify-partner.ts";
import { IdentityUnderTest } from "../../services/identity/tests/identity-under-test.ts";
import { type SignedInOptions, signInUser } from "../../services/identity/tests/signed-in-user.ts";
import { allServices, fullName, policyOf } from "./all-services.ts";
import { validMarkedMessage } from "./marked-message.ts";

const services = await allServices();
const methods = services.flatMap((service) => service.methods);
/** Seals the secrets of partners. */
const PARTNER_KEY = new Uint8Array(32).fill(4);
const REFUSALS = new Set([
  "UNAUTHENTICATED",
  "SESSION_ENDED",
  "PERMISSION_DENIED",
  "ORGANIZATION_REQUIRED",
  "STEP_UP_REQUIRED",
  "TWO_FACTOR_ENROLLMENT_REQUIRED",
]);

/** The reviewed table: for each permission the roles that hold it, and "*". */
const TABLE = new Map(
  readFileSync(new URL("../golden/permissions.txt", import.meta.url), "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(" "))
    .map(([permission = "", ...holders]) => [permission, new Set(holders)]),
);

interface Caller {
  readonly name: string;
  /** The text of the Authorization header after "Bearer"; undefined without one. */
  readonly credential: string | undefined;
  readonly organizationId?: OrganizationId;
  readonly userId?: UserId;
  /** The outcome for a method that is not public. */
  readonly expected: (policy: MethodPolicy) => string;
}

const unauthenticated = () => "UNAUTHENTICATED";

/** A signed-in user; without a role, without an organization. */
function userOutcome(role: Role | undefined, isRecent: boolean): Caller["expected"] {
  return ({ access, permission, stepUp }) => {
    const stepped = stepUp === true && !isRecent ? "STEP_UP_REQUIRED" : "ALLOWED";
    if (access === Access.PERSON || access === Access.CREDENTIAL) return stepped;
    if (access !== Access.PERMISSION) return "PERMISSION_DENIED";
    if (role === undefined) return "ORGANIZATION_REQUIRED";
    return TABLE.get(permission)?.has(role) === true ? stepped : "PERMISSION_DENIED";
  };
}

/** A user without the second factor that the organization requires. */
function lackingOutcome(policy: MethodPolicy): string {
  if (policy.access === Access.PERMISSION) return "TWO_FACTOR_ENROLLMENT_REQUIRED";
  return userOutcome("owner", true)(policy);
}

function keyOutcome(holds: (permission: string) => boolean): Caller["expected"] {
  return ({ access, permission }) => {
    if (access === Access.CREDENTIAL) return "ALLOWED";
    return access === Access.PERMISSION && holds(permission) ? "ALLOWED" : "PERMISSION_DENIED";
  };
}

interface Reached {
  readonly method: DescMethod;
  readonly context: CallContext;
}

function stub(service: DescService, reached: Reached[]): ServiceImplementation {
  const handlers = service.methods.map((method) => {
    const unary = async (_: unknown, context: CallContext) => void reached.push({ method, context });
    const stream = async function* (_: unknown, context: CallContext) {
      reached.push({ method, context });
      yield* [];
    };
    return [method.localName, method.methodKind === "unary" ? unary : stream];
  });
  return { service, handlers: Object.fromEntries(handlers) };
}

describe.each(ENGINES)("callers on %s", (engine) => {
  const reached: Reached[] = [];
  const callers: Caller[] = [];
  /** For each permission a key with this scope alone, and a key with all scopes that do not include it. */
  const keysOf = new Map<string, { readonly only: string; readonly others: string }>();
  let identity: IdentityUnderTest;
  let dispatcher: Dispatcher;
  let acme: OrganizationId;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
    const log = createLogger({ level: "silent" });
    const { clock, database, bus } = identity;
    dispatcher = createDispatcher({
      implementations: services.map((service) => stub(service, reached)),
      serviceName: "test",
      clock,
      log,
      metrics: new Metrics(),
      credentials: new CachingCredentialVerifier({
        lookups: ownCredentials(database, clock),
        clock,
        broadcasts: bus,
        log,
      }),
      serviceTokens: identity.tokensOf("events"),
      partners: ownPartnerVerifier({ database, clock, ownKey: () => PARTNER_KEY }),
    });
    const made = await identity.organization("Acme");
    acme = made.organizationId as OrganizationId;
    await makeUsers();
    const every = keyOutcome((permission) => TABLE.get(permission)?.has("*") === true);
    callers.push({ name: "a key with *", credential: made.secret, organizationId: acme, expected: every });
    for (const permission of PERMISSIONS) {
      const others = PERMISSIONS.filter((other) => !permissionsOf([other]).has(permission));
      keysOf.set(permission, { only: await keyWith([permission]), others: await keyWith(others) });
    }
  });
  afterAll(() => identity.close());

  async function makeUsers(): Promise<void> {
    const other = (await identity.organization("Other")).organizationId as OrganizationId;
    callers.push(
      { name: "no credentials", credential: undefined, expected: unauthenticated },
      { name: "a key that nobody issued", credential: newApiKeySecret(), expected: unauthenticated },
      { name: "text of no known form", credential: "nonsense", expected: unauthenticated },
      await user("a user without an organization", userOutcome(undefined, true), {}),
      await user("an owner of another organization", userOutcome("owner", true), {
        organizationId: other,
        role: "owner",
      }),
      await user("a suspended owner", () => "SESSION_ENDED", {
        organizationId: acme,
        role: "owner",
        status: "suspended",
      }),
      await user("an invited owner", () => "SESSION_ENDED", {
        organizationId: acme,
        role: "owner",
        status: "invited",
      }),
      await user("an owner without a recent password", userOutcome("owner", false), {
        organizationId: acme,
        role: "owner",
        authenticatedTimeMs: undefined,
      }),
    );
    const strict = (await identity.organization("Strict")).organizationId as OrganizationId;
    await identity.database.transaction((trx) => requireSecondFactors(trx, strict));
    callers.push(
      await user("an owner without the required second factor", lackingOutcome, {
        organizationId: strict,
        role: "owner",
      }),
    );
    for (const role of ROLES) {
      callers.push(await user(role, userOutcome(role, true), { organizationId: acme, role }));
    }
    const { credential = "" } = callers.find(({ name }) => name === "owner") ?? {};
    const [header, payload, signature = ""] = credential.split(".");
    const forged = `${header}.${payload}.${signature.split("").reverse().join("")}`;
    callers.push({ name: "a forged access token", credential: forged, expected: unauthenticated });
  }

  async function user(
    name: string,
    expected: Caller["expected"],
    options: Partial<SignedInOptions>,
  ): Promise<Caller> {
    const { database, accessTokens, clock } = identity;
    const nowMs = clock.nowMs();
    const signedIn = await signInUser({
      database,
      accessTokens,
      nowMs,
      authenticatedTimeMs: nowMs,
      ...options,
    });
    const organization =
      options.organizationId === undefined ? {} : { organizationId: options.organizationId };
    const { token: credential, userId } = signedIn;
    return { name, credential, userId, expected, ...organization };
  }

  async function keyWith(scopes: readonly string[]): Promise<string> {
    const { apiKey, secret } = issueApiKey(
      { clock: identity.clock, ids: randomIds },
      { organizationId: acme, name: "Scoped", scopes },
    );
    await identity.database.transaction((trx) => insertApiKey(trx, apiKey));
    return secret;
  }

  /** The reason of a refusal, or "ALLOWED". */
  async function outcome(
    method: DescMethod,
    credential: string | undefined,
    fields: Record<string, unknown> = {},
    more: Record<string, string> = {},
  ): Promise<string> {
    const headers = new Map(Object.entries(more));
    if (credential !== undefined) headers.set("authorization", `Bearer ${credential}`);
    const options = { headers, signal: new AbortController().signal };
    const request = Object.assign(validMarkedMessage(method.input), fields);
    try {
      if (method.methodKind === "unary") await dispatcher.unary(method, request, options);
      else for await (const _ of dispatcher.stream(method, once(request), options).messages);
    } catch (error) {
      if (error instanceof AppError && REFUSALS.has(error.reason)) return error.reason;
    }
    return "ALLOWED";
  }

  /** A method for partners refuses every other caller, and the signature of another body. */
  async function expectPartnersOnly(method: DescMethod): Promise<void> {
    const { database, clock } = identity;
    const ownKey = () => PARTNER_KEY;
    const partner = await createPartnerDirect({ database, clock, ids: randomIds, ownKey }, "Alliance");
    const rawBody = Buffer.from("{}");
    const time = String(Math.floor(clock.nowMs() / 1000));
    const call = async (credential: string | undefined, signedBody?: Uint8Array): Promise<string> => {
      const gateway = { "muster-service-token": identity.tokensOf("gateway").mint() };
      const digest = partnerDigest(partner.secret, time, signedBody ?? rawBody).toString("hex");
      const signature = { "x-api-key": partner.key, "x-signature": `t=${time},v1=${digest}` };
      const more = signedBody === undefined ? gateway : { ...gateway, ...signature };
      return outcome(method, credential, { rawBody }, more);
    };
    for (const { name, credential } of callers) {
      expect(await call(credential), name).toBe("UNAUTHENTICATED");
    }
    expect(await call(undefined, Buffer.from("[]"))).toBe("UNAUTHENTICATED");
    expect(reached.splice(0)).toEqual([]);
    expect(await call(undefined, rawBody)).toBe("ALLOWED");
    expect(reached.splice(0).map(({ context }) => context.principal)).toEqual([
      { kind: "partner", id: partner.id },
    ]);
  }

  function assertReached(method: DescMethod, caller: Caller, isAllowed: boolean): void {
    const { access, readsAccessToken } = policyOf(method);
    const [call, ...more] = reached.splice(0);
    expect(more).toEqual([]);
    if (!isAllowed) expect(call, caller.name).toBeUndefined();
    if (call === undefined) return;
    expect(call.method).toBe(method);
    // Nobody acts for another organization.
    const { kind, organizationId } = call.context.principal;
    if (access !== Access.PUBLIC) expect(organizationId, caller.name).toBe(caller.organizationId);
    else if (!readsAccessToken) expect(kind, caller.name).toBe("anonymous");
  }

  test.each(methods.map((method) => [fullName(method), method] as const))("%s", async (_, method) => {
    const policy = policyOf(method);
    if (policy.access === Access.PARTNER) return expectPartnersOnly(method);
    const own = keysOf.get(policy.permission);
    const scoped: Caller[] =
      own === undefined
        ? []
        : [
            {
              name: "its scope",
              credential: own.only,
              organizationId: acme,
              expected: keyOutcome(() => true),
            },
            {
              name: "all other scopes",
              credential: own.others,
              organizationId: acme,
              expected: keyOutcome(() => false),
            },
          ];
    const found: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const caller of [...callers, ...scoped]) {
      const isPublic = policy.access === Access.PUBLIC;
      expected[caller.name] = isPublic ? "ALLOWED" : caller.expected(policy);
      found[caller.name] = await outcome(method, caller.credential);
      assertReached(method, caller, found[caller.name] === "ALLOWED");
    }
    expect(found).toEqual(expected);
  });

  test("users need no permission for their own row where the method says so", async () => {
    const own = methods.filter((method) => policyOf(method).selfField !== "");
    for (const method of own) {
      const { selfField } = policyOf(method);
      const { localName = "" } = method.input.fields.find(({ name }) => name === selfField) ?? {};
      const found: Record<string, string> = {};
      for (const { name, credential, userId = "" } of callers) {
        if (ROLES.some((role) => role === name)) {
          found[name] = await outcome(method, credential, { [localName]: userId });
        }
      }
      const allowed = ROLES.map((role) => [role, "ALLOWED"]);
      expect(found, fullName(method)).toEqual(Object.fromEntries(allowed));
    }
  });

  test("most calls reach their handler with a valid request", async () => {
    const owner = callers.find(({ name }) => name === "owner");
    reached.length = 0;
    for (const method of methods) await outcome(method, owner?.credential);
    const allowed = methods.filter((method) => {
      const policy = policyOf(method);
      return policy.access === Access.PUBLIC || owner?.expected(policy) === "ALLOWED";
    });
    expect(reached.length).toBeGreaterThan(allowed.length * 0.8);
  });
});

async function requireSecondFactors(trx: Transaction, id: OrganizationId): Promise<void> {
  const organization = await lockOrganization(trx, id);
  if (organization === undefined) throw new Error("no organization");
  await saveOrganization(trx, { ...organization, requiresTwoFactor: true });
}

async function* once<T>(value: T): AsyncIterable<T> {
  yield value;
}
