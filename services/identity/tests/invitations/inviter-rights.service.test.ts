// Tests that an invitation gives no role above the inviter's, and ends when the inviter loses the right.
import type { Role as RoleName } from "@muster/authz";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { MemberStatus } from "@muster/contracts/muster/identity/v1/member_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { voidInvitationsOf } from "../../src/invitations/void-invitations.ts";
import { findMembership } from "../../src/memberships/membership-store.ts";
import { type Company, InvitationHarness } from "./invitation-harness.ts";

const { createInvitation, deleteInvitation, resendInvitation } = InvitationService.method;
const { deleteApiKey } = ApiKeyService.method;

describe.each(ENGINES)("rights of inviters on %s", (engine) => {
  let muster: InvitationHarness;
  let acme: Company;

  beforeAll(async () => {
    muster = await InvitationHarness.open(engine);
    acme = await muster.company();
  });
  afterAll(() => muster.close());

  const invitationIdOf = async (email: string): Promise<string> =>
    (await muster.invitations(acme)).find((one) => one.email === email)?.id ?? "";

  /** An admin of Acme with an invitation to the role, and the invited account. */
  const invitedBy = async (inviterRole: RoleName, role: Role) => {
    const inviter = await muster.member(acme, inviterRole);
    const user = await muster.account();
    const as = muster.as(inviter, acme.organizationId, inviterRole);
    return { inviter, user, token: await muster.invite(acme, user.email, { role }, as) };
  };

  test.each<[RoleName, readonly RoleName[]]>([
    ["owner", ["owner", "admin", "member", "auditor"]],
    ["admin", ["admin", "member"]],
    ["member", []],
    ["auditor", []],
  ])("%s invites to %s", async (inviterRole, invitable) => {
    const as = muster.as(await muster.member(acme, inviterRole), acme.organizationId, inviterRole);
    const roles = { owner: Role.OWNER, admin: Role.ADMIN, member: Role.MEMBER, auditor: Role.AUDITOR };
    for (const [name, role] of Object.entries(roles)) {
      const email = muster.identity.newAddress();
      const call = muster.identity.call(createInvitation, { email, role }, as);
      if (invitable.includes(name as RoleName)) await call;
      else await expectReason(call, "PERMISSION_DENIED");
    }
  });

  test("a key invites members only", async () => {
    const key = { organizationId: acme.organizationId, scopes: ["users.invite"] };
    for (const role of [Role.OWNER, Role.ADMIN, Role.AUDITOR]) {
      const request = { email: muster.identity.newAddress(), role };
      await expectReason(muster.identity.call(createInvitation, request, key), "PERMISSION_DENIED");
    }
    const user = await muster.account();
    await muster.insertKey(acme);
    await muster.accept(user, await muster.invite(acme, user.email, {}, key));
    const reader = { ...key, scopes: ["users.read"] };
    await expectReason(muster.identity.call(createInvitation, {}, reader), "PERMISSION_DENIED");
  });

  test("an admin neither sends again nor deletes the invitation of an owner", async () => {
    const email = muster.identity.newAddress();
    await muster.invite(acme, email, { role: Role.OWNER });
    const admin = muster.as(await muster.member(acme, "admin"), acme.organizationId, "admin");
    const request = { invitationId: await invitationIdOf(email) };
    await expectReason(muster.identity.call(resendInvitation, request, admin), "PERMISSION_DENIED");
    await expectReason(muster.identity.call(deleteInvitation, request, admin), "PERMISSION_DENIED");
  });

  test.each([
    ["demoted", { role: "member" }],
    ["made an auditor", { role: "auditor" }],
    ["suspended", { status: "suspended" }],
  ] as const)("an invitation cannot be accepted once the inviter is %s", async (_, change) => {
    const { inviter, user, token } = await invitedBy("admin", Role.MEMBER);
    await muster.change(acme, inviter, change);
    await muster.expectInvalid(user, token);
    await muster.change(acme, inviter, { role: "admin", status: "active" });
    await muster.accept(user, token);
  });

  test("an owner who becomes an admin keeps the invitations that an admin may make, and no others", async () => {
    const { inviter, user, token } = await invitedBy("owner", Role.MEMBER);
    const [auditor, as] = [await muster.account(), muster.as(inviter, acme.organizationId, "owner")];
    const lost = await muster.invite(acme, auditor.email, { role: Role.AUDITOR }, as);
    await muster.identity.database.transaction((trx) =>
      voidInvitationsOf(trx, acme.organizationId, inviter.id, "admin"),
    );
    // The right comes back; the voided invitation does not.
    await muster.expectInvalid(auditor, lost);
    await muster.accept(user, token);
  });

  test("a voided invitation stays void, until somebody with the right sends it again", async () => {
    const { inviter, user, token } = await invitedBy("admin", Role.MEMBER);
    const other = await invitedBy("admin", Role.MEMBER);
    await muster.identity.database.transaction((trx) =>
      voidInvitationsOf(trx, acme.organizationId, inviter.id),
    );
    await muster.expectInvalid(user, token);
    await muster.accept(other.user, other.token);
    await muster.identity.call(resendInvitation, { invitationId: await invitationIdOf(user.email) }, acme.as);
    await muster.accept(user, await muster.identity.mails.nextToken(user.email));
  });

  test("the invitations of a deleted key end, and those of a key without the scope", async () => {
    const initech = await muster.company("Initech");
    const key = { organizationId: initech.organizationId };
    const user = await muster.account();
    const id = await muster.insertKey(initech, ["users.read"]);
    const token = await muster.invite(initech, user.email, {}, key);
    await muster.expectInvalid(user, token);
    await muster.identity.call(deleteApiKey, { apiKeyId: id }, initech.as);
    await muster.insertKey(initech, ["users.invite"]);
    await muster.expectInvalid(user, token);
  });

  test("of several acceptances at once, one joins", async () => {
    const user = await muster.account();
    const token = await muster.invite(acme, user.email);
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => muster.accept(user, token)));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await muster.memberOf(acme, user.id)).toMatchObject({ status: MemberStatus.ACTIVE, version: 2n });
  });

  test("of several invitations at once, one is made", async () => {
    const email = muster.identity.newAddress();
    const request = { email, role: Role.MEMBER };
    const calls = [1, 2, 3].map(() => muster.identity.call(createInvitation, request, acme.as));
    const outcomes = await Promise.allSettled(calls);
    const reasons = outcomes.map((one) => (one.status === "rejected" ? one.reason.reason : "made")).sort();
    expect(reasons).toEqual(["ALREADY_INVITED", "ALREADY_INVITED", "made"]);
  });

  test("an acceptance and a demotion of the inviter at once leave no member whom nobody may invite", async () => {
    for (let round = 0; round < 5; round += 1) {
      const { inviter, user, token } = await invitedBy("admin", Role.MEMBER);
      const demote = async (): Promise<void> => {
        await muster.change(acme, inviter, { role: "member" });
        await muster.identity.database.transaction((trx) =>
          voidInvitationsOf(trx, acme.organizationId, inviter.id, "member"),
        );
      };
      const [accepted] = await Promise.allSettled([muster.accept(user, token), demote()]);
      const member = await findMembership(muster.identity.database.reader, acme.organizationId, user.id);
      expect(member?.status).toBe(accepted.status === "fulfilled" ? "active" : "invited");
      if (accepted.status === "rejected") await muster.expectInvalid(user, token);
    }
  });

  test("a death before any statement of an acceptance leaves the invitation or the member, never both", async () => {
    const user = await muster.account();
    const token = await muster.invite(acme, user.email);
    for (let statement = 0; ; statement += 1) {
      const { isDead } = await muster.identity.watched.during(() => muster.accept(user, token), statement);
      const isPending = (await invitationIdOf(user.email)) !== "";
      const member = await findMembership(muster.identity.database.reader, acme.organizationId, user.id);
      expect(member?.status).toBe(isPending ? "invited" : "active");
      if (!isDead) break;
    }
    expect(await invitationIdOf(user.email)).toBe("");
  });
});
