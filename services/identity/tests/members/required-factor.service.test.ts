// Tests organizations that require a second factor: who is refused, and how soon a change takes effect.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { assert, type OrganizationId, uuidToBytes } from "@muster/core";
import { ENGINES, oathtoolCode } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { lockOrganization, saveOrganization } from "../../src/organizations/organization-store.ts";
import { announceChanges } from "../../src/revocation/announce-changes.ts";
import { IdentityUnderTest } from "../identity-under-test.ts";
import { type SignedInUser, signInUser } from "../signed-in-user.ts";

const { getUser } = UserService.method;
const { getMe } = AccountService.method;
const { verifySession } = CredentialService.method;
const { enrollTwoFactor, confirmTwoFactor, disableTwoFactor } = TwoFactorService.method;

const REFUSED = "TWO_FACTOR_ENROLLMENT_REQUIRED";

describe.each(ENGINES)("a required second factor on %s", (engine) => {
  let identity: IdentityUnderTest;

  beforeAll(async () => {
    identity = await IdentityUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  const organization = async () => {
    const { organizationId, secret } = await identity.organization();
    return { organizationId: organizationId as OrganizationId, secret };
  };

  const signIn = (
    organizationId: OrganizationId,
    user: Partial<SignedInUser> = {},
  ): Promise<SignedInUser> => {
    const { database, accessTokens, clock } = identity;
    const nowMs = clock.nowMs();
    const { userId } = user;
    const options = { database, accessTokens, nowMs, organizationId, authenticatedTimeMs: nowMs };
    return signInUser(userId === undefined ? options : { ...options, userId });
  };

  async function require(organizationId: OrganizationId, requiresTwoFactor: boolean): Promise<void> {
    const works: (() => void | Promise<void>)[] = [];
    await identity.database.transaction(async (trx) => {
      const before = await lockOrganization(trx, organizationId);
      assert(before !== undefined, "the organization exists");
      await saveOrganization(trx, { ...before, requiresTwoFactor });
      await announceChanges(identity, trx, { afterCommit: (work) => void works.push(work) }, [
        organizationId,
      ]);
    });
    for (const work of works) await work();
  }

  const read = ({ token, userId }: SignedInUser) => identity.call(getUser, { userId }, { key: token });

  async function enroll({ token }: SignedInUser): Promise<void> {
    const { secret } = await identity.call(enrollTwoFactor, {}, { key: token });
    const code = await oathtoolCode(secret, identity.clock.nowMs());
    await identity.call(confirmTwoFactor, { code }, { key: token });
  }

  test("refuses members without one at once, until they enroll", async () => {
    const { organizationId, secret } = await organization();
    const user = await signIn(organizationId);
    await read(user);
    await require(organizationId, true);
    await expectReason(read(user), REFUSED);
    // Keys have no second factor, and the person's own methods serve to enroll.
    await identity.call(getUser, { userId: user.userId }, { key: secret });
    await identity.call(getMe, {}, { key: user.token });
    await enroll(user);
    expect((await read(user)).user?.id).toBe(user.userId);
    await identity.call(disableTwoFactor, {}, { key: user.token });
    await expectReason(read(user), REFUSED);
    await require(organizationId, false);
    await read(user);
  });

  test("refuses in that organization alone", async () => {
    const strict = await organization();
    const other = await organization();
    const user = await signIn(strict.organizationId);
    const elsewhere = await signIn(other.organizationId, user);
    await require(strict.organizationId, true);
    await expectReason(read(user), REFUSED);
    await read(elsewhere);
  });

  test("is part of what other services receive about a session", async () => {
    const { organizationId } = await organization();
    const { sessionId, token } = await signIn(organizationId);
    const header = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()) as {
      kid: string;
    };
    const request = { sessionId: uuidToBytes(sessionId), signingKeyId: uuidToBytes(header.kid) };
    const verify = () => identity.call(verifySession, request, { service: "events" });
    expect(await verify()).toMatchObject({ needsSecondFactor: false });
    await require(organizationId, true);
    expect(await verify()).toMatchObject({ needsSecondFactor: true });
  });

  test("counts an enrollment only once it is confirmed", async () => {
    const { organizationId } = await organization();
    const user = await signIn(organizationId);
    await require(organizationId, true);
    await identity.call(enrollTwoFactor, {}, { key: user.token });
    await expectReason(read(user), REFUSED);
  });
});
