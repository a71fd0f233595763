// Tests signing in: outcomes, the organization, counters, known devices, lockout, and repeated calls.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import type { UserId } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { hash } from "@node-rs/argon2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listActivityPage } from "../../src/activity/activity-store.ts";
import { findMembership } from "../../src/memberships/membership-store.ts";
import { findSession } from "../../src/sessions/session-store.ts";
import { saveUser } from "../../src/users/user-store.ts";
import { claimsOf, MINUTE_MS, PASSWORD, SignInUnderTest, tokensOf } from "./sign-in-under-test.ts";

const { switchOrganization, unlockAccount } = SessionService.method;
const { changePassword } = AccountService.method;
const WRONG = { password: "a quiet lake at night" };
let clients = 0;

/** An address that no other test uses. */
function freshClient(): string {
  clients += 1;
  return `198.51.${Math.floor(clients / 250)}.${clients % 250}`;
}

describe.each(ENGINES)("login on %s", (engine) => {
  let identity: SignInUnderTest;

  beforeAll(async () => {
    identity = await SignInUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  const failed = (email: string, signIn = {}) =>
    expectReason(identity.loginResponse(email, { ...WRONG, ...signIn }), "LOGIN_FAILED", {
      row: { http: 401 },
    });

  async function fail(email: string, times: number, signIn = {}): Promise<void> {
    for (let index = 0; index < times; index += 1) await failed(email, signIn);
  }

  test("the right password opens a session with tokens and a device token", async () => {
    const organizationId = identity.newOrganization();
    const person = await identity.person({}, [organizationId]);
    const client = freshClient();
    const tokens = await identity.login(person, { client });
    expect(tokens).toMatchObject({ tokenType: "Bearer", expiresIn: 300 });
    expect(tokens.refreshToken).toMatch(/^mr_[\w-]{43}$/);
    expect(tokens.deviceToken).toMatch(/^[\w-]{43}$/);
    const { sub, sid, org } = claimsOf(tokens.accessToken);
    expect([sub, org]).toEqual([person.id, organizationId]);
    expect(await findSession(identity.database.reader, sid)).toMatchObject({
      userId: person.id,
      organizationId,
      authenticatedTimeMs: identity.clock.nowMs(),
      authenticationMethods: ["password"],
      client: "a test",
      clientAddress: client,
    });
    const [activity] = await listActivityPage(identity.database.reader, person.id, undefined, 1);
    expect(activity).toMatchObject({ kind: "login", client: "a test", clientAddress: client });
  });

  test("the address counts in its canonical form", async () => {
    const person = await identity.person({ email: `Ada.\u212a+x@Exämple-${Date.now()}-${engine}.test` });
    await identity.login({ email: `  ${person.email.toUpperCase()} ` });
    await failed(person.email.replace("+x", ""));
  });

  test("bad credentials are refused alike, with and without an account", async () => {
    const person = await identity.person();
    const noPassword = await identity.person({ passwordHash: undefined });
    const client = freshClient();
    const refusals = [];
    for (const email of [
      person.email,
      noPassword.email,
      "nobody@example.test",
      "",
      "no address",
      "a".repeat(320),
    ]) {
      refusals.push(await failed(email, { client }));
    }
    expect(new Set(refusals.map(({ message }) => message)).size).toBe(1);
    await failed(person.email, { client, password: "" });
  });

  test("states of the account show only after the right password", async () => {
    const unverified = await identity.person({ isEmailVerified: false });
    const reset = await identity.person({ isPasswordResetRequired: true });
    for (const { email } of [unverified, reset]) await failed(email);
    await expectReason(identity.login(unverified), "EMAIL_NOT_VERIFIED", { row: { http: 403 } });
    await expectReason(identity.login(reset), "PASSWORD_RESET_REQUIRED", { row: { http: 403 } });
  });

  test("a password of more than 1,024 bytes is 400 for any address, before it is hashed", async () => {
    const person = await identity.person();
    const password = "x".repeat(1_048_576);
    for (const email of [person.email, "nobody@example.test"]) {
      await expectReason(identity.loginResponse(email, { password }), "FIELD_INVALID", {
        row: { http: 400 },
        fields: [{ field: "password" }],
      });
    }
  });

  test("a hash with old parameters is replaced at the login", async () => {
    const old = await hash(PASSWORD, { memoryCost: 8_192, timeCost: 1 });
    const person = await identity.person({ passwordHash: old });
    await identity.login(person);
    const { passwordHash, securityVersion } = await identity.user(person.id);
    expect(passwordHash).toContain("m=19456,t=2,p=1");
    expect(securityVersion).toBe(1);
    await identity.login(person);
    expect((await identity.user(person.id)).passwordHash).toBe(passwordHash);
  });

  test("the organization is the one last used in which the membership is active", async () => {
    const [first, second, third] = [1, 2, 3].map(() => identity.newOrganization());
    const person = await identity.person();
    expect(claimsOf((await identity.login(person)).accessToken).org).toBeUndefined();
    if (first === undefined || second === undefined || third === undefined)
      throw new Error("no organization");
    await identity.join(person.id, first, { createTimeMs: 1 });
    await identity.join(person.id, second, { lastLoginTimeMs: 7 });
    await identity.join(person.id, third, { status: "suspended", lastLoginTimeMs: 9 });
    expect(claimsOf((await identity.login(person)).accessToken).org).toBe(second);
    await identity.clock.advance(1);
    const last = { ...(await identity.user(person.id)), lastOrganizationId: first };
    await identity.stored.database.transaction((trx) => saveUser(trx, last));
    expect(claimsOf((await identity.login(person)).accessToken).org).toBe(first);
    const suspended = { ...last, lastOrganizationId: third };
    await identity.stored.database.transaction((trx) => saveUser(trx, suspended));
    expect(claimsOf((await identity.login(person)).accessToken).org).toBe(first);
  });

  test("twenty logins at once count twenty, and publish twenty events", async () => {
    const organizationId = identity.newOrganization();
    const person = await identity.person({}, [organizationId]);
    const before = await loginEvents();
    await Promise.all(Array.from({ length: 20 }, () => identity.login(person)));
    const membership = await findMembership(identity.database.reader, organizationId, person.id);
    expect(membership).toMatchObject({ loginCount: 20, lastLoginTimeMs: identity.clock.nowMs(), version: 1 });
    expect((await loginEvents()) - before).toBe(20);
  });

  async function loginEvents(): Promise<number> {
    const rows = await identity.database
      .reader("outbox_messages")
      .where("type", Buffer.from("muster.identity.login.recorded.v1"))
      .select("position");
    return rows.length;
  }

  test("five failures lock the pair, with a falling wait; another client gets in", async () => {
    const person = await identity.person();
    const client = freshClient();
    await fail(person.email, 5, { client });
    const locked = (retryAfterMs: number, signIn = {}) =>
      expectReason(identity.login(person, { client, ...signIn }), "LOGIN_LOCKED", {
        row: { http: 429 },
        retryAfterMs,
      });
    await locked(15 * MINUTE_MS);
    await identity.clock.advance(MINUTE_MS);
    await locked(14 * MINUTE_MS, WRONG);
    await identity.login(person, { client: freshClient() });
    await locked(14 * MINUTE_MS);
    await identity.clock.advance(14 * MINUTE_MS);
    await identity.login(person, { client });
  });

  test("an unknown address is locked with the same response", async () => {
    const person = await identity.person();
    const refusals = [];
    for (const email of [person.email, `nobody-${person.email}`]) {
      const client = freshClient();
      await fail(email, 5, { client });
      refusals.push(await expectReason(identity.loginResponse(email, { client, ...WRONG }), "LOGIN_LOCKED"));
    }
    const [known, unknown] = refusals.map(({ message, retryAfterMs, details }) => [
      message,
      retryAfterMs,
      details,
    ]);
    expect(known).toEqual(unknown);
  });

  test("of many wrong passwords at once five count, and a right one after them is refused", async () => {
    const person = await identity.person();
    const client = freshClient();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 12 }, () => identity.login(person, { client, ...WRONG })),
    );
    const reasons = outcomes.map((outcome) => outcome.status === "rejected" && outcome.reason.reason);
    expect(reasons.filter((reason) => reason === "LOGIN_FAILED")).toHaveLength(5);
    expect(reasons.filter((reason) => reason === "LOGIN_LOCKED")).toHaveLength(7);
    await expectReason(identity.login(person, { client }), "LOGIN_LOCKED");
  });

  test("lockout is no weapon: a known device signs in while strangers fail", async () => {
    const person = await identity.person();
    const { deviceToken } = await identity.login(person, { client: freshClient() });
    for (let index = 0; index < 10; index += 1) await fail(person.email, 5, { client: freshClient() });
    await expectReason(identity.login(person, { client: freshClient() }), "LOGIN_LOCKED", {
      retryAfterMs: 60 * MINUTE_MS,
    });
    const again = await identity.login(person, { client: freshClient(), deviceToken });
    expect(again.deviceToken).not.toBe(deviceToken);
    // Each login replaces the token.
    await expectReason(identity.login(person, { client: freshClient(), deviceToken }), "LOGIN_LOCKED");
    await identity.login(person, { client: freshClient(), deviceToken: again.deviceToken });
  });

  test("a device token is bound to its account, and guesses from the device lock the device", async () => {
    const person = await identity.person();
    const other = await identity.person();
    const { deviceToken } = await identity.login(other, { client: freshClient() });
    const client = freshClient();
    await fail(person.email, 5, { client, deviceToken });
    await expectReason(identity.login(person, { client, deviceToken }), "LOGIN_LOCKED");

    await fail(other.email, 5, { client: freshClient(), deviceToken });
    await expectReason(identity.login(other, { client: freshClient(), deviceToken }), "LOGIN_LOCKED");
    await identity.login(other, { client: freshClient() });
  });

  test("a changed password makes every device unknown, and guesses of strangers do not prevent the change", async () => {
    const person = await identity.person();
    const tokens = await identity.login(person, { client: freshClient() });
    for (let index = 0; index < 10; index += 1) await fail(person.email, 5, { client: freshClient() });
    const change = (currentPassword: string) =>
      identity.call(changePassword, { currentPassword, password: "another quiet lake" }, identity.by(tokens));
    await expectReason(change("a wrong password"), "CREDENTIALS_INVALID", { row: { http: 403 } });
    await expectReason(change("x".repeat(1_048_576)), "FIELD_INVALID", { row: { http: 400 } });
    await change(PASSWORD);
    const signIn = { password: "another quiet lake", deviceToken: tokens.deviceToken };
    await expectReason(identity.login(person, { ...signIn, client: freshClient() }), "LOGIN_LOCKED");
  });

  test("a thief of an access token gets no further guesses by further sessions", async () => {
    const organizationId = identity.newOrganization();
    const person = await identity.person({}, [organizationId]);
    let tokens = await identity.login(person, { client: freshClient() });
    const guess = () =>
      identity.call(
        changePassword,
        { currentPassword: "a wrong password", password: "another quiet lake" },
        identity.by(tokens),
      );
    for (let index = 0; index < 5; index += 1) {
      await expectReason(guess(), "CREDENTIALS_INVALID");
      tokens = tokensOf(await identity.call(switchOrganization, { organizationId }, identity.by(tokens)));
    }
    await expectReason(guess(), "LOGIN_LOCKED");
    await identity.login(person, { client: freshClient() });
  });

  test("a login from a new device mails the owner, but not the first one", async () => {
    const person = await identity.person();
    const { deviceToken } = await identity.login(person, { client: freshClient() });
    await identity.login(person, { client: freshClient(), deviceToken });
    const client = freshClient();
    await identity.login(person, { client });
    const mail = await identity.mails.next(person.email);
    expect(mail.text).toContain(client);
    expect(identity.mails.all.filter(({ to }) => to === person.email)).toHaveLength(1);
  });

  test("a device is forgotten after a year without a login", async () => {
    const person = await identity.person();
    const { deviceToken } = await identity.login(person, { client: freshClient() });
    identity.clock.setNowMs(identity.clock.nowMs() + 365 * 24 * 60 * MINUTE_MS);
    const client = freshClient();
    await fail(person.email, 5, { client });
    await expectReason(identity.login(person, { client, deviceToken }), "LOGIN_LOCKED");
  });

  describe("with an Idempotency-Key", () => {
    test("the same call returns the same tokens and has no second effect", async () => {
      const organizationId = identity.newOrganization();
      const person = await identity.person({}, [organizationId]);
      const first = await identity.login(person, { idempotencyKey: "once" });
      expect(await identity.login(person, { idempotencyKey: "once" })).toEqual(first);
      const membership = await findMembership(identity.database.reader, organizationId, person.id);
      expect(membership?.loginCount).toBe(1);
    });

    test("a key is no password oracle: a repeated call needs the password, and a wrong one counts", async () => {
      const person = await identity.person();
      const client = freshClient();
      const signIn = { client, idempotencyKey: "oracle" };
      await identity.login(person, signIn);
      await fail(person.email, 5, signIn);
      await expectReason(identity.login(person, signIn), "LOGIN_LOCKED");
      await identity.login(person, { ...signIn, client: freshClient() });
    });

    test("a key after a wrong password is free for the right one", async () => {
      const person = await identity.person();
      const signIn = { client: freshClient(), idempotencyKey: "typo" };
      await failed(person.email, signIn);
      await identity.login(person, signIn);
    });

    test("the response is kept for five minutes, sealed", async () => {
      const person = await identity.person();
      const signIn = { idempotencyKey: "short" };
      const first = await identity.login(person, signIn);
      const rows = await identity.database.reader("idempotency_keys").select<{ response: Buffer | null }[]>();
      for (const { response } of rows) expect(response?.includes(first.refreshToken) ?? false).toBe(false);
      await identity.clock.advance(5 * MINUTE_MS);
      expect((await identity.login(person, signIn)).refreshToken).not.toBe(first.refreshToken);
    });

    test("two people can use the same key", async () => {
      const [one, other] = [await identity.person(), await identity.person()];
      const tokens = [
        await identity.login(one, { idempotencyKey: "mine" }),
        await identity.login(other, { idempotencyKey: "mine" }),
      ];
      expect(tokens.map(({ accessToken }) => claimsOf(accessToken).sub)).toEqual([one.id, other.id]);
    });
  });

  test("a lock mails a link once an hour that ends it for every client, and works once", async () => {
    const person = await identity.person();
    const [one, other] = [freshClient(), freshClient()];
    await fail(person.email, 5, { client: one });
    await fail(person.email, 5, { client: other });
    const token = await identity.mails.nextToken(person.email);
    expect((await kindsOf(person.id)).filter((kind) => kind === "login_locked")).toHaveLength(1);
    await expectReason(identity.login(person, { client: one }), "LOGIN_LOCKED");
    await identity.call(unlockAccount, { token }, identity.from());
    await identity.login(person, { client: one });
    await identity.login(person, { client: other });
    await expectReason(identity.call(unlockAccount, { token }, identity.from()), "TOKEN_INVALID");
    expect(await kindsOf(person.id)).toContain("login_unlocked");

    await fail(person.email, 5, { client: one });
    await identity.clock.advance(60 * MINUTE_MS);
    await fail(person.email, 5, { client: one });
    await waitFor(() => unlockMails(person.email) === 2);
    expect((await kindsOf(person.id)).filter((one) => one === "login_locked")).toHaveLength(2);
  });

  const unlockMails = (to: string): number =>
    identity.mails.all.filter((mail) => mail.to === to && mail.text.includes("/m/unlock#")).length;

  const kindsOf = async (id: UserId): Promise<string[]> => {
    const page = await listActivityPage(identity.database.reader, id, undefined, 50);
    return page.map(({ kind }) => kind);
  };

  test("a token that unlocks nothing is refused", async () => {
    for (const token of ["", "x", "A".repeat(43), "A".repeat(512)]) {
      await expectReason(identity.call(unlockAccount, { token }, identity.from()), "TOKEN_INVALID");
    }
  });
});
