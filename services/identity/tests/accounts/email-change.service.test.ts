// Tests changes of the email address: confirmed from the new address, undone from the old one.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { confirmTotpFactor, findTotpFactor, saveEnrollment } from "../../src/two-factor/totp-factor-store.ts";
import type { User } from "../../src/users/user.ts";
import { AccountHarness, NEW_PASSWORD, PASSWORD } from "./account-harness.ts";

const {
  changeEmail,
  changePassword,
  confirmEmailChange,
  getMe,
  resetPassword,
  undoEmailChange,
  verifyEmail,
} = AccountService.method;
const DAY_MS = 86_400_000;

describe.each(ENGINES)("changes of the address on %s", (engine) => {
  let identity: AccountHarness;

  beforeAll(async () => {
    identity = await AccountHarness.open(engine);
  });
  afterAll(() => identity.close());

  /** Requests a change; returns the tokens of the mails to the new and to the old address. */
  const request = async (user: User, email: string) => {
    await identity.call(changeEmail, { email }, identity.as(user));
    return {
      confirm: await identity.mails.nextToken(email),
      undo: await identity.mails.nextToken(user.email),
    };
  };
  const confirm = (token: string) => identity.call(confirmEmailChange, { token });
  const undo = (token: string) => identity.call(undoEmailChange, { token });
  const enroll = async ({ id }: User): Promise<void> => {
    const nowMs = identity.clock.nowMs();
    await identity.database.transaction(async (trx) => {
      await saveEnrollment(trx, id, Buffer.alloc(8), nowMs);
      await confirmTotpFactor(trx, id, nowMs, true);
    });
  };
  const hasFactor = async ({ id }: User): Promise<boolean> =>
    (await findTotpFactor(identity.database.reader, id)) !== undefined;

  test("the new address takes effect when it is confirmed, and the spelling is kept", async () => {
    const user = await identity.newUser();
    const email = `New.${identity.newAddress()}`;
    const tokens = await request(user, email);
    expect((await identity.call(getMe, {}, identity.as(user))).me?.email).toBe(user.email);
    await confirm(tokens.confirm);
    const { me } = await identity.call(getMe, {}, identity.as(user));
    expect(me).toMatchObject({ id: user.id, email, emailVerified: true });
    expect(await identity.findUser(user.email)).toBeUndefined();
    await expectReason(confirm(tokens.confirm), "TOKEN_INVALID");
    const mail = await identity.mails.next(user.email);
    expect(mail.text).toContain("#token=");
  });

  test("a newer request and a change of the password void the link to the new address", async () => {
    const user = await identity.newUser();
    const first = await request(user, identity.newAddress());
    const second = await request(user, identity.newAddress());
    await expectReason(confirm(first.confirm), "TOKEN_INVALID");
    const change = { currentPassword: PASSWORD, password: NEW_PASSWORD };
    await identity.call(changePassword, change, identity.as(user));
    await expectReason(confirm(second.confirm), "TOKEN_INVALID");
  });

  test("an address with an account gets no link, and the caller the same response", async () => {
    const [user, holder] = [await identity.newUser(), await identity.newUser()];
    await identity.call(changeEmail, { email: holder.email }, identity.as(user));
    await identity.mails.next(user.email);
    expect(identity.mails.all.filter(({ to }) => to === holder.email)).toHaveLength(1);
  });

  test("an address that got an account meanwhile stays with this account", async () => {
    const user = await identity.newUser();
    const email = identity.newAddress();
    const tokens = await request(user, email);
    const other = await identity.newUser(email);
    await expectReason(confirm(tokens.confirm), "EMAIL_TAKEN");
    expect(await identity.userOf(email)).toEqual(other);
  });

  test("a confirmed address voids the registrations of the address", async () => {
    const user = await identity.newUser();
    const email = identity.newAddress();
    await identity.register(email);
    const registration = await identity.mails.nextToken(email);
    await confirm((await request(user, email)).confirm);
    await expectReason(identity.call(verifyEmail, { token: registration }), "TOKEN_INVALID");
  });

  test("the old address undoes a takeover: address, factor, sessions, links and password", async () => {
    const user = await identity.newUser();
    const email = identity.newAddress();
    const { confirm: token } = await request(user, email);
    identity.later(1_000);
    await enroll(user);
    await confirm(token);
    const undoToken = await identity.mails.nextToken(user.email);
    // Whoever took the account over changes the password and the address again.
    const change = { currentPassword: PASSWORD, password: NEW_PASSWORD };
    await identity.call(changePassword, change, identity.as(user));
    expect((await identity.mails.next(email)).subject).toBe("Your password was changed");
    const next = identity.newAddress();
    const further = await request({ ...user, email }, next);
    await confirm(further.confirm);

    await undo(undoToken);
    const restored = await identity.userOf(user.email);
    expect(restored).toMatchObject({ id: user.id, email: user.email, isPasswordResetRequired: true });
    expect(await hasFactor(user)).toBe(false);
    await expectReason(undo(further.undo), "TOKEN_INVALID");
    const reset = await identity.mails.nextToken(user.email);
    await identity.call(resetPassword, { token: reset, password: "the owner's new password" });
    expect(await identity.userOf(user.email)).toMatchObject({ isPasswordResetRequired: false });
  });

  test("a factor from before the change stays", async () => {
    const user = await identity.newUser();
    await enroll(user);
    identity.later(1_000);
    await confirm((await request(user, identity.newAddress())).confirm);
    await undo(await identity.mails.nextToken(user.email));
    expect(await hasFactor(user)).toBe(true);
  });

  test("a change can be undone for seven days", async () => {
    const [early, late] = [await identity.newUser(), await identity.newUser()];
    const tokens: string[] = [];
    for (const user of [early, late]) {
      await confirm((await request(user, identity.newAddress())).confirm);
      tokens.push(await identity.mails.nextToken(user.email));
    }
    identity.later(7 * DAY_MS - 1);
    await undo(tokens[0] ?? "");
    expect((await identity.userOf(early.email)).id).toBe(early.id);
    identity.later(1);
    await expectReason(undo(tokens[1] ?? ""), "TOKEN_INVALID");
  });

  test.each(["no address", "a@b", "ada@example.com\nBcc: eve@example.com"])(
    "%j is refused",
    async (email) => {
      const user = await identity.newUser();
      const call = identity.call(changeEmail, { email }, identity.as(user));
      await expectReason(call, "FIELD_INVALID", { fields: [{ field: "email" }] });
    },
  );
});
