// Users as callers: what a method's policy demands of them, and which verification decides.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { CredentialPrincipal, CredentialVerifier, UserPrincipal, VerifyOptions } from "@muster/authz";
import {
  Access,
  type MethodPolicy,
  MethodPolicySchema,
} from "@muster/contracts/muster/options/v1/options_pb";
import type { OrganizationId, SessionId, SigningKeyId, UserId } from "@muster/core";
import { AppError } from "@muster/errors";
import { FakeClock } from "@muster/testkit";
import { beforeEach, describe, expect, test } from "vitest";
import { identifyCaller } from "./authenticate.ts";
import { requireAllowed } from "./authorize.ts";

const ORGANIZATION = "0190a5b4-0000-7000-8000-00000000000a" as OrganizationId;
const MINUTE_MS = 60_000;

/** Verifies one token: as `cached`, or as `current` where the verification is renewed. */
class Verifier implements CredentialVerifier {
  cached: CredentialPrincipal | undefined;
  current: CredentialPrincipal | undefined;
  error: Error | undefined;
  readonly calls: VerifyOptions[] = [];

  async verify(_credential: string, options: VerifyOptions = {}): Promise<CredentialPrincipal | undefined> {
    this.calls.push(options);
    if (this.error !== undefined) throw this.error;
    return options.renew === true ? this.current : this.cached;
  }

  onChange(): () => void {
    return () => {};
  }
}

let clock: FakeClock;
let credentials: Verifier;

beforeEach(() => {
  clock = new FakeClock();
  credentials = new Verifier();
});

function userWith(more: Partial<UserPrincipal> = {}): UserPrincipal {
  return {
    kind: "user",
    id: "u" as UserId,
    sessionId: "s" as SessionId,
    organizationId: ORGANIZATION,
    role: "member",
    permissions: { has: (permission) => permission === "segments.read" },
    authenticatedMs: undefined,
    stepUpMethods: ["password", "totp"],
    needsSecondFactor: false,
    signingKeyId: "k" as SigningKeyId,
    expireTimeMs: clock.nowMs() + 5 * MINUTE_MS,
    ...more,
  };
}

const key: CredentialPrincipal = {
  kind: "api_key",
  id: "key",
  organizationId: ORGANIZATION,
  permissions: { has: () => true },
};

const TOKEN = { authorization: "Bearer token" };

/** A call with the token whose cached verification is `caller`. */
async function call(
  init: MessageInitShape<typeof MethodPolicySchema>,
  caller: CredentialPrincipal | undefined,
  { userId, ...headers }: { readonly authorization?: string; readonly userId?: string } = TOKEN,
) {
  credentials.cached = caller;
  const policy: MethodPolicy = create(MethodPolicySchema, init);
  const deps = {
    credentials,
    clock,
    serviceTokens: { mint: () => "", verify: () => undefined },
    demoOrganizationId: undefined,
  };
  const metadata = new Map(Object.entries(headers));
  const identified = await identifyCaller(deps, policy, metadata);
  return requireAllowed(deps, policy, metadata, identified, { userId });
}

const reads = { access: Access.PERMISSION, permission: "segments.read" };
const person = { access: Access.PERSON };

describe("a method with a permission", () => {
  test("accepts a user whose role holds the permission, and no other", async () => {
    expect(await call(reads, userWith())).toMatchObject({ kind: "user", id: "u" });
    await expect(call({ ...reads, permission: "segments.write" }, userWith())).rejects.toMatchObject({
      reason: "PERMISSION_DENIED",
      details: { permission: "segments.write" },
    });
  });

  test("refuses a user without an organization", async () => {
    const user = userWith({ organizationId: undefined, role: undefined, permissions: { has: () => true } });
    await expect(call(reads, user)).rejects.toMatchObject({
      reason: "ORGANIZATION_REQUIRED",
      row: { http: 403 },
    });
  });
});

describe("a method with a permission that users do not need for themselves", () => {
  const own = { access: Access.PERMISSION, permission: "users.update", selfField: "user_id" };

  test("accepts a user without the permission for the own id only", async () => {
    expect(await call(own, userWith(), { ...TOKEN, userId: "u" })).toMatchObject({ id: "u" });
    await expect(call(own, userWith(), { ...TOKEN, userId: "other" })).rejects.toMatchObject({
      reason: "PERMISSION_DENIED",
      details: { permission: "users.update" },
    });
  });

  test("leaves the decision open until the request is read", async () => {
    expect(await call(own, userWith())).toMatchObject({ id: "u" });
  });

  test("demands the permission of keys, and an organization of users", async () => {
    const without = { ...key, permissions: { has: () => false } };
    await expect(call(own, without, { ...TOKEN, userId: "key" })).rejects.toMatchObject({
      reason: "PERMISSION_DENIED",
    });
    const nowhere = userWith({ organizationId: undefined, role: undefined });
    await expect(call(own, nowhere, { ...TOKEN, userId: "u" })).rejects.toMatchObject({
      reason: "ORGANIZATION_REQUIRED",
    });
  });
});

describe("an organization that requires a second factor", () => {
  const lacking = () => userWith({ needsSecondFactor: true });

  test("refuses a user without one, also for the own row", async () => {
    credentials.current = lacking();
    for (const policy of [reads, { ...reads, permission: "users.update", selfField: "user_id" }]) {
      await expect(call(policy, lacking(), { ...TOKEN, userId: "u" })).rejects.toMatchObject({
        reason: "TWO_FACTOR_ENROLLMENT_REQUIRED",
        row: { http: 403 },
      });
    }
  });

  test("does not refuse by an old verification, because the user enrolled at another process", async () => {
    credentials.current = userWith();
    expect(await call(reads, lacking())).toBe(credentials.current);
  });

  test("does not stop what belongs to the person, such as the enrollment", async () => {
    expect(await call(person, lacking())).toMatchObject({ kind: "user" });
    expect(credentials.calls).toHaveLength(1);
  });
});

describe("a method for persons", () => {
  test("accepts every user, with and without an organization", async () => {
    expect(await call(person, userWith())).toMatchObject({ id: "u" });
    expect(await call(person, userWith({ organizationId: undefined }))).toMatchObject({ id: "u" });
  });

  test("refuses a key with every permission", async () => {
    await expect(call(person, key)).rejects.toMatchObject({ reason: "PERMISSION_DENIED" });
  });

  test("is 401 for an unknown token and for one of an ended session", async () => {
    await expect(call(person, undefined)).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
    credentials.error = new AppError("SESSION_ENDED");
    await expect(call(person, undefined)).rejects.toMatchObject({
      reason: "SESSION_ENDED",
      row: { http: 401 },
    });
  });
});

describe("a public method", () => {
  const anybody = { access: Access.PUBLIC };

  test("does not read the credential", async () => {
    credentials.error = new Error("read");
    expect(await call(anybody, undefined)).toMatchObject({ kind: "anonymous" });
    expect(credentials.calls).toEqual([]);
  });

  test("that reads access tokens takes the user of a valid one, and nobody for all others", async () => {
    const readsAccessToken = { ...anybody, readsAccessToken: true };
    expect(await call(readsAccessToken, userWith())).toMatchObject({ kind: "user" });
    expect(await call(readsAccessToken, key)).toMatchObject({ kind: "anonymous" });
    expect(await call(readsAccessToken, undefined)).toMatchObject({ kind: "anonymous" });
    expect(await call(readsAccessToken, userWith(), {})).toMatchObject({ kind: "anonymous" });
    credentials.error = new AppError("SESSION_ENDED");
    expect(await call(readsAccessToken, userWith())).toMatchObject({ kind: "anonymous" });
    credentials.error = new AppError("UNAVAILABLE");
    await expect(call(readsAccessToken, userWith())).rejects.toMatchObject({ reason: "UNAVAILABLE" });
  });
});

describe("step-up", () => {
  const sudo = { ...person, stepUp: true };
  const enteredBefore = (ms: number) => userWith({ authenticatedMs: clock.nowMs() - ms });

  test("accepts what was entered less than ten minutes ago, by the cached verification", async () => {
    expect(await call(sudo, enteredBefore(10 * MINUTE_MS - 1))).toMatchObject({ kind: "user" });
    expect(credentials.calls).toHaveLength(1);
  });

  test.each<[string, () => UserPrincipal]>([
    ["ten minutes ago", () => enteredBefore(10 * MINUTE_MS)],
    ["never", () => userWith()],
  ])("refuses what was entered %s, and names the methods", async (_, user) => {
    credentials.current = user();
    await expect(call(sudo, user())).rejects.toMatchObject({
      reason: "STEP_UP_REQUIRED",
      row: { http: 403 },
      details: { methods: "password,totp" },
    });
    expect(credentials.calls.map(({ renew }) => renew)).toEqual([undefined, true]);
  });

  test("is not refused by an old verification, because the user entered it at another process", async () => {
    const renewed = enteredBefore(1);
    credentials.current = renewed;
    expect(await call(sudo, userWith())).toBe(renewed);
  });

  test("checks the renewed permissions too", async () => {
    credentials.current = { ...enteredBefore(1), permissions: { has: () => false } };
    await expect(call({ ...reads, stepUp: true }, userWith())).rejects.toMatchObject({
      reason: "PERMISSION_DENIED",
    });
  });

  test("comes after the permission, so that nobody is asked in vain", async () => {
    credentials.current = userWith();
    const policy = { ...reads, permission: "segments.write", stepUp: true };
    await expect(call(policy, userWith())).rejects.toMatchObject({ reason: "PERMISSION_DENIED" });
    expect(credentials.calls).toHaveLength(1);
  });

  test("is no matter of keys", async () => {
    expect(await call({ ...reads, stepUp: true }, key)).toBe(key);
  });

  test("of a user whose session ended meanwhile is 401", async () => {
    await expect(call(sudo, userWith())).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
  });
});
