// Tests that a crash around a commit uses up no code, and that a repeated call returns the lost response.
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { CrashingDatabase, ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { TwoFactorUnderTest } from "./two-factor-under-test.ts";

const { confirmTwoFactor, enrollTwoFactor, loginWithTwoFactor, reauthenticate } = TwoFactorService.method;
const { redeemMagicLink, sendMagicLink } = MagicLinkService.method;

describe.each(ENGINES)("crashes on %s", (engine) => {
  const crashing = new CrashingDatabase();
  let identity: TwoFactorUnderTest;
  let linkToken: string;

  beforeAll(async () => {
    identity = await TwoFactorUnderTest.open(engine, { wrap: crashing.wrap });
    const user = await identity.user();
    await identity.call(sendMagicLink, { email: user.email });
    linkToken = await identity.mailedToken(user, "magic-link");
    // Workers would take the crashes of the calls.
    await identity.stop();
  });
  afterEach(() => {
    expect(crashing.crashes).toEqual([]);
  });
  afterAll(() => identity.close());

  test.each(["before", "conflict"] as const)(
    "%s the commit of a login, the code is not used up",
    async (crash) => {
      const user = await identity.enabledUser();
      const challenge = await identity.challenge(user);
      const code = await identity.code(user.secret);
      crashing.crashes = [crash];
      const first = identity.call(loginWithTwoFactor, { challenge, code });
      if (crash === "before") {
        await expectReason(first, "INTERNAL");
        await identity.call(loginWithTwoFactor, { challenge, code });
      } else {
        await first;
      }
      await expectReason(identity.call(loginWithTwoFactor, { challenge, code }), "CODE_INVALID");
    },
  );

  test("after the commit of a login, the repeated call with the same key returns the tokens", async () => {
    const user = await identity.enabledUser();
    const request = { challenge: await identity.challenge(user), code: await identity.code(user.secret) };
    const as = { idempotencyKey: "login-1" };
    crashing.crashes = ["no", "after"];
    await expectReason(identity.call(loginWithTwoFactor, request, as), "INTERNAL");
    const { tokens } = await identity.call(loginWithTwoFactor, request, as);
    expect(tokens?.refreshToken).not.toBe("");
    expect((await identity.call(loginWithTwoFactor, request, as)).tokens).toEqual(tokens);
  });

  test("a foreign challenge with the same key opens no saved response", async () => {
    const [user, other] = [await identity.enabledUser(), await identity.enabledUser()];
    const as = { idempotencyKey: "login-2" };
    const request = { challenge: await identity.challenge(user), code: await identity.code(user.secret) };
    await identity.call(loginWithTwoFactor, request, as);
    const foreign = { challenge: await identity.challenge(other), code: "000000" };
    await expectReason(identity.call(loginWithTwoFactor, foreign, as), "CODE_INVALID");
  });

  test("a wrong code counts once, also when the transaction runs twice", async () => {
    const user = await identity.enabledUser();
    for (let guess = 0; guess < 10; guess += 1) {
      crashing.crashes = ["conflict"];
      await expectReason(identity.stepUp(user, "000000"), "CREDENTIALS_INVALID");
    }
    await expectReason(identity.stepUp(user, "000000"), "TWO_FACTOR_LOCKED");
  });

  test("a lost confirmation is repeated with the same key, with the same backup codes", async () => {
    const user = await identity.user();
    const { secret } = await identity.call(enrollTwoFactor, {}, { user: user.session });
    const request = { code: await identity.code(secret) };
    const as = { user: user.session, idempotencyKey: "confirm-1" };
    crashing.crashes = ["no", "before"];
    await expectReason(identity.call(confirmTwoFactor, request, as), "INTERNAL");
    crashing.crashes = ["no", "after"];
    await expectReason(identity.call(confirmTwoFactor, request, as), "INTERNAL");
    const { backupCodes } = await identity.call(confirmTwoFactor, request, as);
    identity.nextStep();
    await identity.login(user, backupCodes[0] ?? "");
  });

  test("a step-up that rolled back is repeated with the same code", async () => {
    const user = await identity.enabledUser();
    const value = await identity.code(user.secret);
    const enter = () =>
      identity.call(reauthenticate, { credential: { case: "code", value } }, { user: user.session });
    crashing.crashes = ["before"];
    await expectReason(enter(), "INTERNAL");
    await enter();
  });

  test("a redemption that rolled back uses up no link", async () => {
    const token = linkToken;
    crashing.crashes = ["before"];
    await expectReason(identity.call(redeemMagicLink, { token }), "INTERNAL");
    await identity.call(redeemMagicLink, { token });
    await expectReason(identity.call(redeemMagicLink, { token }), "CODE_INVALID");
  });
});
