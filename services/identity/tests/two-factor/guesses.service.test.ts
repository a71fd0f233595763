// Tests the limits of wrong codes, the end of challenges, and step-up.
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import type { Mail } from "@muster/mail";
import { ENGINES, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listActivityPage } from "../../src/activity/activity-store.ts";
import { findKnownDevice } from "../../src/login/known-device-store.ts";
import { Passwords } from "../../src/passwords/passwords.ts";
import { findSession } from "../../src/sessions/session-store.ts";
import { findSecondFactor, stepUpMethods } from "../../src/two-factor/second-factor.ts";
import { findUser } from "../../src/users/user-store.ts";
import {
  HOUR_MS,
  MINUTE_MS,
  outcomesOf,
  type TestUser,
  TwoFactorUnderTest,
} from "./two-factor-under-test.ts";

const { confirmTwoFactor, enrollTwoFactor, loginWithTwoFactor, reauthenticate } = TwoFactorService.method;

describe.each(ENGINES)("guesses on %s", (engine) => {
  let identity: TwoFactorUnderTest;

  beforeAll(async () => {
    identity = await TwoFactorUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  const login = (challenge: string, code: string) => identity.call(loginWithTwoFactor, { challenge, code });

  const kindsOfActivity = async ({ id }: TestUser): Promise<string[]> => {
    const page = await listActivityPage(identity.database.reader, id, undefined, 50);
    return page.map(({ kind }) => kind);
  };

  test("a new challenge gives no new guesses: ten wrong codes lock the account's factor", async () => {
    const user = await identity.enabledUser();
    const challenges: string[] = [];
    for (let guess = 0; guess < 10; guess += 1) {
      const challenge = await identity.challenge(user, guess % 2 === 0 ? "password" : "magic_link");
      challenges.push(challenge);
      await expectReason(login(challenge, "zzzzz-zzzzz"), "CODE_INVALID");
    }
    const locked = { retryAfterMs: 15 * MINUTE_MS };
    const fresh = await identity.challenge(user);
    await expectReason(login(fresh, await identity.code(user.secret)), "TWO_FACTOR_LOCKED", locked);
    await expectReason(identity.stepUp(user, user.backupCodes[0] ?? ""), "TWO_FACTOR_LOCKED", locked);
    await expectReason(login(challenges[9] ?? "", await identity.code(user.secret)), "TWO_FACTOR_LOCKED");
    expect(await kindsOfActivity(user)).toContain("two_factor_locked");
    const isNotice = (mail: Mail) => mail.to === user.email && mail.subject.includes("is locked");
    await waitFor(() => identity.mails.all.find(isNotice), { what: "the mail about the lock" });

    identity.passTime(5 * MINUTE_MS);
    await expectReason(login(fresh, "zzzzz-zzzzz"), "TWO_FACTOR_LOCKED", { retryAfterMs: 10 * MINUTE_MS });
    identity.passTime(10 * MINUTE_MS);
    const later = await identity.challenge(user);
    await login(later, await identity.code(user.secret));
  });

  test("a lock ends every challenge for good", async () => {
    const user = await identity.enabledUser();
    const before = await identity.challenge(user);
    for (let guess = 0; guess < 10; guess += 1) {
      await expectReason(identity.stepUp(user, "000000"), "CREDENTIALS_INVALID");
    }
    await identity.stored.database.transaction((trx) =>
      // The lifetime of a challenge is shorter than the lock; here it lasts.
      trx("login_challenges").update({ expire_time_ms: identity.clock.nowMs() + HOUR_MS }),
    );
    identity.passTime(15 * MINUTE_MS);
    await expectReason(login(before, await identity.code(user.secret)), "CODE_INVALID");
  });

  test("parallel guesses over many challenges: ten are compared", async () => {
    const user = await identity.enabledUser();
    const challenges = await Promise.all(Array.from({ length: 16 }, () => identity.challenge(user)));
    const outcomes = await outcomesOf(challenges.map((challenge) => login(challenge, "zzzzz-zzzzz")));
    expect(outcomes).toEqual({ CODE_INVALID: 10, TWO_FACTOR_LOCKED: 6 });
  });

  test("confirming an enrollment counts too, and disabling or enrolling anew resets nothing", async () => {
    const user = await identity.user();
    const enroll = () => identity.call(enrollTwoFactor, {}, { user: user.session });
    for (let guess = 0; guess < 10; guess += 1) {
      if (guess % 3 === 0) await enroll();
      const confirmed = identity.call(confirmTwoFactor, { code: "zzzzz-zzzzz" }, { user: user.session });
      await expectReason(confirmed, "CREDENTIALS_INVALID");
    }
    const { secret } = await enroll();
    const code = await identity.code(secret);
    await expectReason(
      identity.call(confirmTwoFactor, { code }, { user: user.session }),
      "TWO_FACTOR_LOCKED",
    );
  });

  test("a challenge works once, for ten minutes, and dies with a change of the address or the password", async () => {
    const user = await identity.enabledUser();
    const [used, changed, late] = [
      await identity.challenge(user),
      await identity.challenge(user),
      await identity.challenge(user),
    ];
    await login(used, await identity.code(user.secret));
    await expectReason(login(used, await identity.code(user.secret, 1)), "CODE_INVALID");
    identity.passTime(10 * MINUTE_MS - 1);
    await identity.changeSecurityVersion(user);
    await expectReason(login(changed, await identity.code(user.secret)), "CODE_INVALID");
    identity.passTime(1);
    await expectReason(login(late, await identity.code(user.secret)), "CODE_INVALID");
    for (const garbled of ["", "x", `${late}x`, late.toLowerCase()]) {
      await expectReason(login(garbled, await identity.code(user.secret)), "CODE_INVALID");
    }
    // None of these refusals compared the code.
    await identity.login(user, await identity.code(user.secret));
  });

  test("of parallel logins with one challenge and different right codes, one is accepted", async () => {
    const user = await identity.enabledUser();
    const challenge = await identity.challenge(user);
    const codes = [await identity.code(user.secret), ...user.backupCodes.slice(0, 4)];
    const outcomes = await outcomesOf(codes.map((code) => login(challenge, code)));
    expect(outcomes).toEqual({ accepted: 1, CODE_INVALID: 4 });
  });

  test("a step-up is recorded in the session, and a wrong one is not", async () => {
    const user = await identity.enabledUser();
    const session = await identity.session(user.id, { isSteppedUp: false });
    const entered = async () =>
      (await findSession(identity.database.reader, session.sessionId))?.authenticatedTimeMs;
    const enter = (value: string) =>
      identity.call(reauthenticate, { credential: { case: "code", value } }, { user: session });
    await expectReason(enter("000000"), "CREDENTIALS_INVALID");
    expect(await entered()).toBeUndefined();
    await enter(await identity.code(user.secret));
    expect(await entered()).toBe(identity.clock.nowMs());
    expect(await kindsOfActivity(user)).toContain("reauthenticated");
  });

  test("a password steps up; a wrong one counts as a failed login of the session, and codes go on", async () => {
    const passwordHash = await new Passwords({ clock: identity.clock, slots: 1 }).hash(
      "correct horse battery",
    );
    const user = await identity.enable(await identity.user({ passwordHash }));
    const enter = (value: string) =>
      identity.call(reauthenticate, { credential: { case: "password", value } }, { user: user.session });
    identity.nextStep();
    await enter("correct horse battery");
    const session = await findSession(identity.database.reader, user.session.sessionId);
    expect(session?.authenticatedTimeMs).toBe(identity.clock.nowMs());
    for (let guess = 0; guess < 5; guess += 1) await expectReason(enter("wrong"), "CREDENTIALS_INVALID");
    await expectReason(enter("correct horse battery"), "LOGIN_LOCKED");
    await expectReason(enter("x".repeat(1_048_576)), "FIELD_INVALID");
    await identity.stepUp(user, await identity.code(user.secret));
  });

  test("a device that is known stays the device of a login by two steps", async () => {
    const user = await identity.enabledUser();
    const first = await identity.call(loginWithTwoFactor, {
      challenge: await identity.challenge(user),
      code: await identity.code(user.secret),
    });
    const device = await findKnownDevice(
      identity.database.reader,
      first.tokens?.deviceToken,
      identity.clock.nowMs(),
    );
    identity.nextStep();
    const second = await identity.call(loginWithTwoFactor, {
      challenge: await identity.challenge(user, "password", device),
      code: await identity.code(user.secret),
    });
    const rotated = await findKnownDevice(
      identity.database.reader,
      second.tokens?.deviceToken,
      identity.clock.nowMs(),
    );
    expect(rotated?.id).toBe(device?.id);
    expect(rotated?.tokenHash).not.toEqual(device?.tokenHash);
  });

  test("a factor that was enrolled without a recent password allows no step-up until a login with it", async () => {
    const stolen = await identity.user({}, { isSteppedUp: false });
    const thief = await identity.enable(stolen);
    identity.nextStep();
    await expectReason(identity.stepUp(thief, await identity.code(thief.secret)), "CREDENTIALS_INVALID");
    await expectReason(identity.stepUp(thief, thief.backupCodes[0] ?? ""), "CREDENTIALS_INVALID");
    const methods = async () => {
      const user = await findUser(identity.database.reader, stolen.id);
      return user && stepUpMethods(identity.database.reader, user, identity.clock.nowMs());
    };
    expect(await methods()).toEqual([]);
    await identity.login(thief, await identity.code(thief.secret));
    identity.nextStep();
    expect(await methods()).toEqual(["totp", "backup_code"]);
    await identity.stepUp(thief, await identity.code(thief.secret));
  });

  test("an enrollment counts for nothing before it is confirmed, and a confirmed one is not replaced", async () => {
    const user = await identity.user();
    const enroll = () => identity.call(enrollTwoFactor, {}, { user: user.session });
    const first = await enroll();
    const second = await enroll();
    const owner = await findUser(identity.database.reader, user.id);
    if (owner === undefined) throw new Error("no user");
    const state = () => findSecondFactor(identity.database.reader, owner, identity.clock.nowMs());
    expect((await state()).factor).toBeUndefined();
    const confirm = async (secret: string) =>
      identity.call(confirmTwoFactor, { code: await identity.code(secret) }, { user: user.session });
    await expectReason(confirm(first.secret), "CREDENTIALS_INVALID");
    expect((await confirm(second.secret)).backupCodes.length).toBe(10);
    expect((await state()).factor).toBeDefined();
    await expectReason(enroll(), "TWO_FACTOR_ENABLED");
  });
});

test.each([-MINUTE_MS, MINUTE_MS])(
  "a replica whose clock is %i ms off accepts the codes of the shared clock",
  async (offsetMs) => {
    const identity = await TwoFactorUnderTest.open("mysql");
    const { FakeClock } = await import("@muster/testkit");
    const beside = await TwoFactorUnderTest.open("mysql", {
      beside: identity,
      clock: new FakeClock(identity.clock.nowMs() + offsetMs),
      databaseClock: identity.clock,
    });
    try {
      const user = await identity.enabledUser();
      const challenge = await identity.challenge(user);
      const code = await identity.code(user.secret);
      await beside.call(loginWithTwoFactor, { challenge, code });
      await expectReason(identity.login(user, code), "CODE_INVALID");
    } finally {
      await beside.close();
      await identity.close();
    }
  },
);
