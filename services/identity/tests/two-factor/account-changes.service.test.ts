// Tests that links and challenges die with a change of the address or the password, and that no change removes the
// second factor.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Passwords } from "../../src/passwords/passwords.ts";
import { type EnabledUser, TwoFactorUnderTest } from "./two-factor-under-test.ts";

const { changeEmail, changePassword, confirmEmailChange, forgotPassword, getMe, resetPassword } =
  AccountService.method;
const { confirmTwoFactorRecovery, loginWithTwoFactor, recoverTwoFactor } = TwoFactorService.method;
const { redeemMagicLink, sendMagicLink } = MagicLinkService.method;
const { login } = SessionService.method;

const PASSWORD = "correct horse battery staple";
const NEW_PASSWORD = "four other words of it";

describe.each(ENGINES)("changes of an account on %s", (engine) => {
  let identity: TwoFactorUnderTest;
  let passwordHash: string;

  beforeAll(async () => {
    identity = await TwoFactorUnderTest.open(engine);
    passwordHash = await new Passwords({ clock: identity.clock, slots: 1 }).hash(PASSWORD);
  });
  afterAll(() => identity.close());

  /** Signs in with the password as far as the second factor. */
  async function challengeOf(email: string, password: string): Promise<string> {
    const { details } = await expectReason(identity.call(login, { email, password }), "TWO_FACTOR_REQUIRED");
    return details.challenge ?? "";
  }

  type Changed = { readonly email?: string; readonly password?: string };
  const changes: Readonly<Record<string, (user: EnabledUser) => Promise<Changed>>> = {
    "a reset of the password": async (user) => {
      await identity.call(forgotPassword, { email: user.email });
      const token = await identity.mailedToken(user, "reset-password");
      await identity.call(resetPassword, { token, password: NEW_PASSWORD });
      return { password: NEW_PASSWORD };
    },
    "a change of the password": async ({ session }) => {
      const request = { currentPassword: PASSWORD, password: NEW_PASSWORD };
      await identity.call(changePassword, request, { user: session });
      return { password: NEW_PASSWORD };
    },
    "a change of the address": async (user) => {
      const email = `new-${user.email}`;
      await identity.call(changeEmail, { email }, { user: user.session });
      const token = await identity.mailedToken({ ...user, email }, "confirm-email");
      await identity.call(confirmEmailChange, { token });
      return { email };
    },
  };

  test.each(Object.entries(changes))("%s", async (_, change) => {
    const user = await identity.enable(await identity.user({ passwordHash }));
    identity.nextStep();
    const challenge = await challengeOf(user.email, PASSWORD);
    const recoveryLink = async (): Promise<string> => {
      await identity.call(recoverTwoFactor, { challenge });
      return identity.mailedToken(user, "recover-confirm");
    };
    await identity.call(confirmTwoFactorRecovery, { token: await recoveryLink() });
    const link = await recoveryLink();
    await identity.call(sendMagicLink, { email: user.email });
    const token = await identity.mailedToken(user, "magic-link");
    const me = async () => (await identity.call(getMe, {}, { user: user.session })).me;
    expect((await me())?.twoFactorRecoveryTime).toBeDefined();

    const { email = user.email, password = PASSWORD } = await change(user);
    const code = await identity.code(user.secret);
    await expectReason(identity.call(loginWithTwoFactor, { challenge, code }), "CODE_INVALID");
    await expectReason(identity.call(redeemMagicLink, { token }), "CODE_INVALID");
    await expectReason(identity.call(confirmTwoFactorRecovery, { token: link }), "TOKEN_INVALID");
    expect((await me())?.twoFactorEnabled).toBe(true);
    expect((await me())?.twoFactorRecoveryTime).toBeUndefined();
    const again = await challengeOf(email, password);
    const { tokens } = await identity.call(loginWithTwoFactor, { challenge: again, code });
    expect(tokens?.accessToken).toMatch(/\./);
  });
});
