// Tests that a code of a second factor works once among login, step-up, enrollment and everything else.
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EnabledUser, outcomeOf, outcomesOf, TwoFactorUnderTest } from "./two-factor-under-test.ts";

const { confirmTwoFactor, disableTwoFactor, enrollTwoFactor } = TwoFactorService.method;

describe.each(ENGINES)("codes on %s", (engine) => {
  let identity: TwoFactorUnderTest;

  beforeAll(async () => {
    identity = await TwoFactorUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  const uses = {
    login: (user: EnabledUser, code: string) => identity.login(user, code),
    "step-up": (user: EnabledUser, code: string) => identity.stepUp(user, code),
  } as const;
  const names = Object.keys(uses) as (keyof typeof uses)[];
  const pairs = names.flatMap((first) => names.map((second) => [first, second] as const));

  test.each(pairs)("a TOTP code that %s used is refused by %s", async (first, second) => {
    const user = await identity.enabledUser();
    const code = await identity.code(user.secret);
    expect(await outcomeOf(uses[first](user, code))).toBe("accepted");
    expect(await outcomeOf(uses[second](user, code))).toMatch(/^(CODE|CREDENTIALS)_INVALID$/);
    expect(await outcomeOf(uses[second](user, await identity.code(user.secret, 1)))).toBe("accepted");
  });

  test.each(pairs)("a backup code that %s used is refused by %s", async (first, second) => {
    const user = await identity.enabledUser();
    const [code = ""] = user.backupCodes;
    expect(await outcomeOf(uses[first](user, code))).toBe("accepted");
    expect(await outcomeOf(uses[second](user, code.toUpperCase()))).toMatch(/^(CODE|CREDENTIALS)_INVALID$/);
  });

  test("of parallel logins and step-ups with one code, one is accepted", async () => {
    const user = await identity.enabledUser();
    for (const code of [await identity.code(user.secret), user.backupCodes[0] ?? ""]) {
      const calls = Array.from({ length: 3 }, () => [
        identity.login(user, code),
        identity.stepUp(user, code),
      ]);
      const { accepted, ...refused } = await outcomesOf(calls.flat());
      expect(accepted).toBe(1);
      expect(Object.keys(refused).every((reason) => reason.endsWith("_INVALID"))).toBe(true);
      identity.nextStep();
    }
  });

  test("the code that confirms an enrollment signs nobody in", async () => {
    const user = await identity.user();
    const { secret } = await identity.call(enrollTwoFactor, {}, { user: user.session });
    const code = await identity.code(secret);
    await identity.call(confirmTwoFactor, { code }, { user: user.session });
    await expectReason(identity.login(user, code), "CODE_INVALID");
    await expectReason(identity.stepUp(user, code), "CREDENTIALS_INVALID");
  });

  test("two confirmations with one code enable the factor once", async () => {
    const user = await identity.user();
    const { secret } = await identity.call(enrollTwoFactor, {}, { user: user.session });
    const code = await identity.code(secret);
    const confirm = () => identity.call(confirmTwoFactor, { code }, { user: user.session });
    expect(await outcomesOf([confirm(), confirm(), confirm()])).toEqual({
      accepted: 1,
      TWO_FACTOR_ENABLED: 2,
    });
  });

  test("a step-up by a code allows to disable the factor, and the code disables no further one", async () => {
    const enabled = await identity.enabledUser();
    const code = await identity.code(enabled.secret);
    await identity.stepUp(enabled, code);
    const authenticatedMs = identity.clock.nowMs();
    const stepped = { ...enabled.session, authenticatedMs };
    await identity.call(disableTwoFactor, {}, { user: stepped });
    await expectReason(identity.stepUp(enabled, code), "CREDENTIALS_INVALID");
    await expectReason(identity.call(disableTwoFactor, {}, { user: stepped }), "TWO_FACTOR_NOT_ENABLED");
    // The secret of the next enrollment is another one.
    const again = await identity.enable({ ...enabled, session: stepped });
    identity.nextStep();
    await expectReason(identity.login(again, await identity.code(enabled.secret)), "CODE_INVALID");
    await identity.login(again, await identity.code(again.secret));
  });

  test("a login by backup code uses up the current TOTP code too", async () => {
    const user = await identity.enabledUser();
    await identity.login(user, user.backupCodes[0] ?? "");
    await expectReason(identity.login(user, await identity.code(user.secret)), "CODE_INVALID");
    await identity.login(user, await identity.code(user.secret, 1));
  });

  test("new backup codes replace the old ones, used and unused", async () => {
    const user = await identity.enabledUser();
    const { backupCodes } = await identity.call(
      TwoFactorService.method.createBackupCodes,
      {},
      { user: user.session },
    );
    expect(new Set([...backupCodes, ...user.backupCodes]).size).toBe(20);
    await expectReason(identity.login(user, user.backupCodes[0] ?? ""), "CODE_INVALID");
    await identity.login(user, backupCodes[0] ?? "");
  });
});
