// Tests reading a member: the person's address with the membership's name, role, status and logins.
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { OrganizationId, UserId } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { insertMembership } from "../../src/memberships/membership-store.ts";
import { IdentityUnderTest } from "../identity-under-test.ts";
import { signInUser } from "../signed-in-user.ts";

const { getUser } = UserService.method;

describe.each(ENGINES)("GetUser on %s", (engine) => {
  let identity: IdentityUnderTest;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  async function organization() {
    const { organizationId, secret } = await identity.organization();
    return { organizationId: organizationId as OrganizationId, secret };
  }

  async function join(userId: UserId, organizationId: OrganizationId, overrides: object): Promise<void> {
    const nowMs = identity.clock.nowMs();
    const membership = {
      organizationId,
      userId,
      name: "Ada of Globex",
      role: "auditor",
      status: "active",
      lastLoginTimeMs: nowMs,
      loginCount: 3,
      version: 7,
      createTimeMs: nowMs - 2_000,
      updateTimeMs: nowMs - 1_000,
      ...overrides,
    } as const;
    await identity.database.transaction((trx) => insertMembership(trx, membership));
  }

  test("a person of two organizations has an own name, role and login count in each", async () => {
    const acme = await organization();
    const globex = await organization();
    const { database, accessTokens, clock } = identity;
    const { userId } = await signInUser({
      database,
      accessTokens,
      nowMs: clock.nowMs(),
      organizationId: acme.organizationId,
    });
    await join(userId, globex.organizationId, {});
    const inAcme = await identity.call(getUser, { userId }, { key: acme.secret });
    expect(inAcme.user).toMatchObject({
      id: userId,
      name: "Ada",
      verified: true,
      loginCount: 0n,
      version: 1n,
    });
    expect(inAcme.user?.lastLoginAt).toBeUndefined();
    const inGlobex = await identity.call(getUser, { userId }, { key: globex.secret });
    expect(inGlobex.user).toMatchObject({
      id: userId,
      email: inAcme.user?.email,
      name: "Ada of Globex",
      loginCount: 3n,
      version: 7n,
    });
    expect(inGlobex.user?.lastLoginAt).toBeDefined();
  });

  test("an invited person is shown as not verified, whatever the account is", async () => {
    const acme = await organization();
    const { database, accessTokens, clock } = identity;
    const { userId } = await signInUser({ database, accessTokens, nowMs: clock.nowMs() });
    await join(userId, acme.organizationId, { status: "invited", loginCount: 0, lastLoginTimeMs: undefined });
    const { user } = await identity.call(getUser, { userId }, { key: acme.secret });
    expect(user).toMatchObject({ verified: false, name: "Ada of Globex" });
  });

  test("a person of another organization is not found, like text that is no id", async () => {
    const acme = await organization();
    const globex = await organization();
    const { database, accessTokens, clock } = identity;
    const { userId } = await signInUser({
      database,
      accessTokens,
      nowMs: clock.nowMs(),
      organizationId: globex.organizationId,
    });
    for (const id of [userId, "", "me", "events", userId.toUpperCase()]) {
      await expectReason(identity.call(getUser, { userId: id }, { key: acme.secret }), "USER_NOT_FOUND");
    }
  });
});
