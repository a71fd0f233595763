// Tests the way back from a lost authenticator: three days in which the owner can cancel.
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { ENGINES } from "@muster/testkit";
import { type CallAs, expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listActivityPage } from "../../src/activity/activity-store.ts";
import { findRecovery } from "../../src/two-factor/recovery-store.ts";
import { findSecondFactor, hasSecondFactor } from "../../src/two-factor/second-factor.ts";
import { findUser } from "../../src/users/user-store.ts";
import { HOUR_MS, MINUTE_MS, type TestUser, TwoFactorUnderTest } from "./two-factor-under-test.ts";

const {
  cancelTwoFactorRecovery,
  confirmTwoFactorRecovery,
  enrollTwoFactor,
  loginWithTwoFactor,
  recoverTwoFactor,
} = TwoFactorService.method;

describe.each(ENGINES)("recovery on %s", (engine) => {
  let identity: TwoFactorUnderTest;

  beforeAll(async () => {
    identity = await TwoFactorUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  const request = async (user: TestUser): Promise<string> => {
    await identity.call(recoverTwoFactor, { challenge: await identity.challenge(user) });
    return identity.mailedToken(user, "recover-confirm");
  };

  const confirm = async (token: string): Promise<number> => {
    const { effectiveTime } = await identity.call(confirmTwoFactorRecovery, { token });
    return effectiveTime === undefined ? 0 : timestampMs(effectiveTime);
  };

  const cancel = (token: string | undefined, as: CallAs = {}) =>
    identity.call(cancelTwoFactorRecovery, token === undefined ? {} : { token }, as);

  const state = async ({ id }: TestUser) => {
    const user = await findUser(identity.database.reader, id);
    if (user === undefined) throw new Error("no user");
    return findSecondFactor(identity.database.reader, user, identity.clock.nowMs());
  };

  const has = async ({ id }: TestUser): Promise<boolean> => {
    const user = await findUser(identity.database.reader, id);
    return user !== undefined && hasSecondFactor(identity.database.reader, user, identity.clock.nowMs());
  };

  const kindsOfActivity = async ({ id }: TestUser): Promise<string[]> =>
    (await listActivityPage(identity.database.reader, id, undefined, 50)).map(({ kind }) => kind);

  test("removes the factor exactly 72 hours after the link was used", async () => {
    const user = await identity.enabledUser();
    const challenge = await identity.challenge(user);
    const effectiveMs = await confirm(await request(user));
    expect(effectiveMs).toBe(identity.clock.nowMs() + 72 * HOUR_MS);
    expect((await state(user)).recoveryTimeMs).toBe(effectiveMs);
    await identity.mailedToken(user, "recover-cancel");

    // The factor still counts meanwhile.
    await identity.login(user, await identity.code(user.secret));
    identity.clock.setNowMs(effectiveMs - 1);
    expect(await has(user)).toBe(true);
    identity.clock.setNowMs(effectiveMs);
    expect(await has(user)).toBe(false);
    expect((await state(user)).recoveryTimeMs).toBeUndefined();
    await expectReason(identity.stepUp(user, user.backupCodes[0] ?? ""), "CREDENTIALS_INVALID");
    const code = await identity.code(user.secret);
    await expectReason(identity.call(loginWithTwoFactor, { challenge, code }), "CODE_INVALID");

    await identity.clock.advance(2 * MINUTE_MS);
    await expect.poll(() => kindsOfActivity(user), { timeout: 10_000 }).toContain("recovery_completed");
    expect((await kindsOfActivity(user)).sort()).toEqual([
      "login",
      "recovery_completed",
      "recovery_requested",
      "recovery_scheduled",
      "two_factor_enabled",
    ]);
    const rows = await identity.database.reader("totp_factors").select("user_id");
    expect(
      rows.some(({ user_id }) => Buffer.from(user_id).toString("hex") === user.id.replaceAll("-", "")),
    ).toBe(false);
  });

  test("an effective recovery allows to enroll at once, before a worker has removed the old factor", async () => {
    const user = await identity.enabledUser();
    identity.clock.setNowMs(await confirm(await request(user)));
    const { secret } = await identity.call(enrollTwoFactor, {}, { user: user.session });
    expect(secret).not.toBe(user.secret);
    expect(await has(user)).toBe(false);
    expect(await kindsOfActivity(user)).toContain("recovery_completed");
  });

  test("is canceled by any session of the user", async () => {
    const user = await identity.enabledUser();
    const effectiveMs = await confirm(await request(user));
    const unused = await request(user);
    await cancel(undefined, { user: await identity.session(user.id, { isSteppedUp: false }) });
    expect((await state(user)).recoveryTimeMs).toBeUndefined();
    // A link that was mailed before would schedule it again.
    await expectReason(confirm(unused), "TOKEN_INVALID");
    identity.clock.setNowMs(effectiveMs);
    expect(await has(user)).toBe(true);
    expect(await kindsOfActivity(user)).toContain("recovery_canceled");
  });

  test("is canceled by the token of the notice mail, once, without a session", async () => {
    const user = await identity.enabledUser();
    await confirm(await request(user));
    const token = await identity.mailedToken(user, "recover-cancel");
    await cancel(token);
    expect((await state(user)).recoveryTimeMs).toBeUndefined();
    await expectReason(cancel(token), "TOKEN_INVALID");
    await expectReason(cancel(undefined), "UNAUTHENTICATED");
    const other = await identity.enabledUser();
    await confirm(await request(other));
    await expectReason(cancel("x".repeat(43)), "TOKEN_INVALID");
    await cancel(undefined, { user: user.session });
    expect((await state(other)).recoveryTimeMs).toBeDefined();
  });

  test("a link works once and for a day, and a newer link replaces an older one", async () => {
    const user = await identity.enabledUser();
    const [replaced, link] = [await request(user), await request(user)];
    await expectReason(confirm(replaced), "TOKEN_INVALID");
    const effectiveMs = await confirm(link);
    await expectReason(confirm(link), "TOKEN_INVALID");
    const late = await request(user);
    identity.passTime(HOUR_MS);
    // A second link never moves the time.
    expect(await confirm(late)).toBe(effectiveMs);
    const expired = await request(user);
    identity.passTime(24 * HOUR_MS);
    await expectReason(confirm(expired), "TOKEN_INVALID");
  });

  test("needs a live challenge", async () => {
    const user = await identity.enabledUser();
    const challenge = await identity.challenge(user);
    await identity.changeSecurityVersion(user);
    await expectReason(identity.call(recoverTwoFactor, { challenge }), "CODE_INVALID");
    await expectReason(identity.call(recoverTwoFactor, { challenge: "x".repeat(43) }), "CODE_INVALID");
  });

  test("a change of the address or the password voids links and scheduled recoveries", async () => {
    const user = await identity.enabledUser();
    const link = await request(user);
    await identity.changeSecurityVersion(user);
    await expectReason(confirm(link), "TOKEN_INVALID");
    const effectiveMs = await confirm(await request(user));
    await identity.changeSecurityVersion(user);
    expect((await state(user)).recoveryTimeMs).toBeUndefined();
    identity.clock.setNowMs(effectiveMs);
    expect(await has(user)).toBe(true);
    await identity.clock.advance(2 * MINUTE_MS);
    const isStored = async () => (await findRecovery(identity.database.reader, user.id)) !== undefined;
    await expect.poll(isStored, { timeout: 10_000 }).toBe(false);
    expect(await has(user)).toBe(true);
    expect(await kindsOfActivity(user)).not.toContain("recovery_completed");
  });
});
