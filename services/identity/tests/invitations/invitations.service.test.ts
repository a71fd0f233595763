// Tests invitations: who is invited, how the invited member looks, and how the person joins.
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { MemberStatus } from "@muster/contracts/muster/identity/v1/member_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { expiredDataWorker } from "../accounts/expired-data.ts";
import { type Company, InvitationHarness } from "./invitation-harness.ts";

const { acceptInvitation, createInvitation, deleteInvitation, listInvitations, resendInvitation } =
  InvitationService.method;
const { createUser, getUser } = UserService.method;
const DAY_MS = 86_400_000;

describe.each(ENGINES)("invitations on %s", (engine) => {
  let muster: InvitationHarness;
  let acme: Company;

  beforeAll(async () => {
    muster = await InvitationHarness.open(engine);
    acme = await muster.company();
  });
  afterAll(() => muster.close());

  const newAddress = () => muster.identity.newAddress();
  const invitationId = async (email: string): Promise<string> =>
    (await muster.invitations(acme)).find((one) => one.email === email)?.id ?? "";

  test("a person without an account registers by the link and keeps the id of the invitation", async () => {
    const email = newAddress();
    const request = { email, name: "Bo of Acme", role: Role.ADMIN };
    const { user } = await muster.identity.call(createUser, request, acme.as);
    expect(user).toMatchObject({
      email,
      name: "Bo of Acme",
      role: Role.ADMIN,
      status: MemberStatus.INVITED,
      verified: false,
      loginCount: 0n,
      version: 1n,
    });
    const token = await muster.identity.mails.nextToken(email);
    const bo = await muster.registerInvited(email, token, "Bo");
    expect(bo.id).toBe(user?.id);
    expect(await muster.memberOf(acme, bo.id)).toMatchObject({
      email,
      name: "Bo of Acme",
      role: Role.ADMIN,
      status: MemberStatus.ACTIVE,
      verified: true,
      version: 2n,
    });
    expect(await invitationId(email)).toBe("");
    await muster.expectInvalid(bo, token);
  });

  test("an account of the address accepts, and without a given name the member has the name of the account", async () => {
    const user = await muster.account();
    const token = await muster.invite(acme, user.email);
    const { organization } = await muster.identity.call(
      acceptInvitation,
      { token },
      muster.identity.as(user),
    );
    expect(organization).toMatchObject({ id: acme.organizationId, name: "Acme", role: Role.MEMBER });
    expect(await muster.memberOf(acme, user.id)).toMatchObject({ name: "Ada", status: MemberStatus.ACTIVE });
    await muster.expectInvalid(user, token);
  });

  test("an invited address looks the same with and without an account", async () => {
    const known = await muster.account();
    const emails = [known.email, newAddress()].map((email) => email.toUpperCase());
    const looks: unknown[] = [];
    for (const email of emails) {
      const request = { email, role: Role.MEMBER };
      const { outcome, statements } = await muster.identity.watched.during(() =>
        muster.identity.call(createUser, request, acme.as),
      );
      if (outcome.status === "rejected") throw outcome.reason;
      const { user } = outcome.value;
      const read = await muster.memberOf(acme, user?.id ?? "");
      expect(read).toEqual(user);
      looks.push({ ...user, id: "", email: user?.email === email, statements });
    }
    expect(looks[0]).toEqual(looks[1]);
    expect(looks[0]).toMatchObject({ name: "", email: true, verified: false });
  });

  test("members and pending invitations are conflicts, whatever the spelling; a removed member is invited", async () => {
    const member = await muster.member(acme, "member");
    const suspended = await muster.member(acme, "member", "suspended");
    for (const { email } of [member, suspended]) {
      const again = { email: email.toUpperCase(), role: Role.MEMBER };
      await expectReason(muster.identity.call(createUser, again, acme.as), "USER_EXISTS");
    }
    const email = newAddress();
    await muster.invite(acme, email);
    const again = { email: `  ${email.toUpperCase()} `, role: Role.MEMBER };
    await expectReason(muster.identity.call(createInvitation, again, acme.as), "ALREADY_INVITED");
    await expectReason(muster.identity.call(createUser, again, acme.as), "ALREADY_INVITED");
  });

  test("bad addresses, names and roles are refused", async () => {
    const good = { email: newAddress(), role: Role.MEMBER };
    const bads: readonly Partial<{ email: string; name: string; role: Role }>[] = [
      { email: "nobody" },
      { name: "a\nb" },
      { name: "n".repeat(101) },
      { role: Role.UNSPECIFIED },
      { role: 9 as Role },
    ];
    for (const bad of bads)
      await expectReason(muster.identity.call(createUser, { ...good, ...bad }, acme.as), "FIELD_INVALID");
    expect(await invitationId(good.email)).toBe("");
  });

  test("an account with another address cannot accept", async () => {
    const email = newAddress();
    const token = await muster.invite(acme, email);
    const other = await muster.account();
    await expectReason(muster.accept(other, token), "INVITATION_ADDRESS_MISMATCH");
    await muster.expectInvalid(other, "A".repeat(43));
    await muster.expectInvalid(other, "no token");
    const invited = await muster.registerInvited(email, token);
    expect(await muster.memberOf(acme, invited.id)).toMatchObject({ status: MemberStatus.ACTIVE });
  });

  test("a registration with the token of another address ignores the token", async () => {
    const email = newAddress();
    const token = await muster.invite(acme, email);
    const other = await muster.registerInvited(newAddress(), token);
    await expectReason(muster.identity.call(getUser, { userId: other.id }, acme.as), "USER_NOT_FOUND");
    expect(await invitationId(email)).not.toBe("");
  });

  test("a verification accepts only the invitation of the registration's token", async () => {
    const [email, initech] = [newAddress(), await muster.company("Initech")];
    const token = await muster.invite(acme, email);
    const otherToken = await muster.invite(initech, email);
    const user = await muster.registerInvited(email, token);
    expect(await muster.memberOf(acme, user.id)).toMatchObject({ status: MemberStatus.ACTIVE });
    expect(await muster.memberOf(initech, user.id)).toMatchObject({
      status: MemberStatus.INVITED,
      verified: false,
      name: "",
    });
    await muster.accept(user, otherToken);
    expect(await muster.memberOf(initech, user.id)).toMatchObject({ status: MemberStatus.ACTIVE });
  });

  test("an invitation ends after 7 days, and can be sent again or made anew", async () => {
    const user = await muster.account();
    const token = await muster.invite(acme, user.email, { name: "Bo" });
    muster.identity.later(7 * DAY_MS);
    await muster.expectInvalid(user, token);
    const id = await invitationId(user.email);
    await muster.identity.call(resendInvitation, { invitationId: id }, acme.as);
    await muster.expectInvalid(user, token);
    const renewed = await muster.identity.mails.nextToken(user.email);
    muster.identity.later(7 * DAY_MS);
    await muster.expectInvalid(user, renewed);
    const anew = await muster.invite(acme, user.email);
    expect(await invitationId(user.email)).not.toBe(id);
    await muster.accept(user, anew);
  });

  test("without a further mail, because there were too many, the last link continues to work", async () => {
    const user = await muster.account();
    let token = await muster.invite(acme, user.email);
    const request = { invitationId: await invitationId(user.email) };
    for (let mail = 2; mail <= 5; mail += 1) {
      await muster.identity.call(resendInvitation, request, acme.as);
      token = await muster.identity.mails.nextToken(user.email);
    }
    muster.identity.later(1);
    const { invitation } = await muster.identity.call(resendInvitation, request, acme.as);
    const endMs = Number(invitation?.expireTime?.seconds) * 1000;
    expect(endMs).toBeGreaterThan(muster.identity.clock.nowMs() + 7 * DAY_MS - 1_001);
    await muster.accept(user, token);
  });

  test("a deleted invitation takes the member along, and the person unless there is more", async () => {
    const [email, initech] = [newAddress(), await muster.company("Initech")];
    const token = await muster.invite(acme, email);
    await muster.invite(initech, email);
    const { id: userId } = await muster.identity.userOf(email);
    const [request, other] = [
      { invitationId: await invitationId(email) },
      (await muster.invitations(initech))[0],
    ];
    for (const as of [initech.as, { organizationId: initech.organizationId }]) {
      await expectReason(muster.identity.call(deleteInvitation, request, as), "INVITATION_NOT_FOUND");
      await expectReason(muster.identity.call(resendInvitation, request, as), "INVITATION_NOT_FOUND");
      const listed = await muster.identity.call(listInvitations, {}, as);
      expect(listed.invitations.map(({ id }) => id)).toEqual([other?.id]);
    }
    await muster.identity.call(deleteInvitation, request, acme.as);
    await expectReason(muster.identity.call(deleteInvitation, request, acme.as), "INVITATION_NOT_FOUND");
    await expectReason(muster.identity.call(getUser, { userId }, acme.as), "USER_NOT_FOUND");
    expect((await muster.identity.findUser(email))?.id).toBe(userId);
    await muster.identity.call(deleteInvitation, { invitationId: other?.id ?? "" }, initech.as);
    expect(await muster.identity.findUser(email)).toBeUndefined();
    await muster.expectInvalid(acme.owner, token);
  });

  test("expired invitations are deleted after 30 days, with the people without an account", async () => {
    const [email, known, initech] = [newAddress(), await muster.account(), await muster.company()];
    await muster.invite(initech, email);
    await muster.invite(initech, known.email);
    const sweep = () => expiredDataWorker(muster.identity).sweep();
    muster.identity.later(36 * DAY_MS);
    await sweep();
    expect(await muster.invitations(initech)).toHaveLength(2);
    muster.identity.later(2 * DAY_MS);
    await sweep();
    expect(await muster.invitations(initech)).toEqual([]);
    expect(await muster.identity.findUser(email)).toBeUndefined();
    expect(await muster.identity.findUser(known.email)).toBeDefined();
  });

  test("the list is walked in pages, and a token of another organization is refused", async () => {
    const [initech, emails] = [await muster.company("Initech"), Array.from({ length: 5 }, newAddress)];
    for (const email of emails) {
      await muster.invite(initech, email);
      muster.identity.later(1);
    }
    const found: string[] = [];
    let pageToken = "";
    do {
      const page = await muster.identity.call(listInvitations, { pageSize: 2, pageToken }, initech.as);
      found.push(...page.invitations.map(({ email }) => email));
      if (pageToken === "") {
        const stolen = { pageToken: page.nextPageToken };
        await expectReason(muster.identity.call(listInvitations, stolen, acme.as), "PAGE_TOKEN_INVALID");
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(found).toEqual(emails);
  });
});
