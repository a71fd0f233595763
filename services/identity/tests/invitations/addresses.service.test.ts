// Tests invitations of addresses without an account, and of addresses that move between accounts.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { MemberStatus } from "@muster/contracts/muster/identity/v1/member_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { User } from "../../src/users/user.ts";
import { NEW_PASSWORD, PASSWORD } from "../accounts/account-harness.ts";
import { type Company, InvitationHarness } from "./invitation-harness.ts";

const { changeEmail, confirmEmailChange, forgotPassword, resetPassword, undoEmailChange } =
  AccountService.method;
const { login } = SessionService.method;
const { sendMagicLink } = MagicLinkService.method;
const { getUser } = UserService.method;
const { acceptInvitation } = InvitationService.method;

describe.each(ENGINES)("addresses of invitations on %s", (engine) => {
  let muster: InvitationHarness;
  let acme: Company;

  beforeAll(async () => {
    muster = await InvitationHarness.open(engine);
    acme = await muster.company();
  });
  afterAll(() => muster.close());

  /** The account takes the address, by the link that is sent there. */
  const moveTo = async (user: User, email: string): Promise<User> => {
    await muster.identity.call(changeEmail, { email }, muster.identity.as(user));
    await muster.identity.call(confirmEmailChange, { token: await muster.identity.mails.nextToken(email) });
    return muster.identity.userOf(email);
  };

  test("a login as an invited person without an account fails like that of an unknown address", async () => {
    const email = muster.identity.newAddress();
    await muster.invite(acme, email, { name: "Bo" });
    const attempts = [email, muster.identity.newAddress()].map(async (address) => {
      const request = { email: address, password: PASSWORD };
      const { statements } = await muster.identity.watched.during(() =>
        expectReason(muster.identity.call(login, request), "LOGIN_FAILED"),
      );
      return statements;
    });
    const [invited, unknown] = await Promise.all(attempts);
    expect(invited).toEqual(unknown);
  });

  test("a new password or a magic link verifies an invited address, and joins no organization", async () => {
    const email = muster.identity.newAddress();
    await muster.invite(acme, email);
    await muster.identity.call(sendMagicLink, { email });
    await muster.identity.call(forgotPassword, { email });
    const tokens = [
      await muster.identity.mails.nextToken(email),
      await muster.identity.mails.nextToken(email),
    ];
    const resets = tokens.map((token) =>
      muster.identity.call(resetPassword, { token, password: NEW_PASSWORD }),
    );
    expect((await Promise.allSettled(resets)).map(({ status }) => status).sort()).toEqual([
      "fulfilled",
      "rejected",
    ]);
    const user = await muster.identity.userOf(email);
    expect(user.isEmailVerified).toBe(true);
    expect(await muster.memberOf(acme, user.id)).toMatchObject({
      status: MemberStatus.INVITED,
      verified: false,
    });
  });

  test("an account takes an address that is only invited, and the organization sees no change", async () => {
    const email = muster.identity.newAddress();
    const token = await muster.invite(acme, email);
    const { id: invitedId } = await muster.identity.userOf(email);
    const before = await muster.memberOf(acme, invitedId);
    const mover = await moveTo(await muster.account(), email);
    expect(await muster.memberOf(acme, invitedId)).toEqual(before);
    await muster.accept(mover, token);
    expect(await muster.memberOf(acme, mover.id)).toMatchObject({ email, status: MemberStatus.ACTIVE });
    await expectReason(muster.identity.call(getUser, { userId: invitedId }, acme.as), "USER_NOT_FOUND");
    expect((await muster.invitations(acme)).some((one) => one.email === email)).toBe(false);
  });

  test("an invited account that moves away leaves the invitation to the address", async () => {
    const email = muster.identity.newAddress();
    const user = await muster.account(email);
    const token = await muster.invite(acme, email);
    const moved = await moveTo(user, muster.identity.newAddress());
    expect(await muster.memberOf(acme, user.id)).toMatchObject({ email, status: MemberStatus.INVITED });
    await expectReason(muster.accept(moved, token), "INVITATION_ADDRESS_MISMATCH");
    // The new address is invited apart: nothing shows that both belong to one account.
    const second = await muster.invite(acme, moved.email);
    const successor = await muster.account(email);
    await muster.accept(moved, second);
    expect(await muster.memberOf(acme, moved.id)).toMatchObject({ email: moved.email });
    // The first invitation was the account's own, and ended with its membership.
    await muster.expectInvalid(successor, token);
  });

  test("an undo gives an address back that was invited meanwhile", async () => {
    const email = muster.identity.newAddress();
    const user = await muster.account(email);
    await muster.identity.call(
      changeEmail,
      { email: muster.identity.newAddress() },
      muster.identity.as(user),
    );
    const undo = await muster.identity.mails.nextToken(email);
    await moveTo(user, muster.identity.newAddress());
    // The notice of the second request, and the notice of the change.
    for (let mail = 0; mail < 2; mail += 1) await muster.identity.mails.nextToken(email);
    const token = await muster.invite(acme, email);
    await muster.identity.call(undoEmailChange, { token: undo });
    await muster.accept(await muster.identity.userOf(email), token);
  });

  test("an account that is a member already cannot join again by another address", async () => {
    const member = await muster.member(acme, "member");
    const suspended = await muster.member(acme, "member", "suspended");
    for (const user of [member, suspended]) {
      const email = muster.identity.newAddress();
      const token = await muster.invite(acme, email);
      const moved = await moveTo(user, email);
      const call = muster.identity.call(acceptInvitation, { token }, muster.identity.as(moved));
      await expectReason(call, "USER_EXISTS");
    }
    expect(await muster.memberOf(acme, suspended.id)).toMatchObject({ status: MemberStatus.SUSPENDED });
  });
});
