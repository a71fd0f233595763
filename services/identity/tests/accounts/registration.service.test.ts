// Tests registration and verification: nothing exists before the address is verified, and the first verification
// voids the other registrations of the address.
import { fromBinary } from "@bufbuild/protobuf";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import {
  UserJoinedSchema,
  UserVerifiedSchema,
} from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { uuidToBytes } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AccountHarness, NEW_PASSWORD, PASSWORD } from "./account-harness.ts";

const { getMe, listActivities, register, resendVerification, verifyEmail } = AccountService.method;

interface OutboxRow {
  readonly type: Buffer;
  readonly data: Buffer;
}

describe.each(ENGINES)("registration on %s", (engine) => {
  let identity: AccountHarness;

  beforeAll(async () => {
    identity = await AccountHarness.open(engine);
  });
  afterAll(() => identity.close());

  const verify = (token: string) => identity.call(verifyEmail, { token });

  test("the user and the organization come into being at the verification", async () => {
    const email = identity.newAddress();
    await identity.register(email, { name: " Ada Lovelace ", organizationName: "Analytical Engines" });
    expect(await identity.findUser(email)).toBeUndefined();
    await verify(await identity.mails.nextToken(email));

    const user = await identity.userOf(email);
    const { me } = await identity.call(getMe, {}, identity.as(user));
    expect(me).toMatchObject({
      id: user.id,
      email,
      emailVerified: true,
      name: "Ada Lovelace",
      twoFactorEnabled: false,
      organizations: [{ name: "Analytical Engines", role: 1 }],
    });
    const { activities } = await identity.call(listActivities, {}, identity.as(user));
    expect(activities.map(({ kind }) => kind)).toEqual(["email_verified"]);
    expect(await identity.hasPassword(email, PASSWORD)).toBe(true);
  });

  test("a verification publishes who joined and who is verified, for the organization", async () => {
    const rows = () => identity.database.reader("outbox_messages").select<OutboxRow[]>("type", "data");
    const before = (await rows()).length;
    const email = identity.newAddress();
    await identity.register(email, { organizationName: "Acme" });
    expect(await rows()).toHaveLength(before);
    await verify(await identity.mails.nextToken(email));
    const user = await identity.userOf(email);
    const [organization] = (await identity.call(getMe, {}, identity.as(user))).me?.organizations ?? [];
    const ids = { organizationId: uuidToBytes(organization?.id ?? ""), userId: uuidToBytes(user.id) };
    const published = new Map(
      (await rows()).map(({ type, data }) => [`${type}/${data.toString("hex")}`, data]),
    );
    const of = (type: string, schema: typeof UserJoinedSchema | typeof UserVerifiedSchema) =>
      [...published]
        .filter(([key]) => key.startsWith(`${type}/`))
        .map(([, data]) => fromBinary(schema, data))
        .filter(({ userId }) => Buffer.from(userId).equals(ids.userId));
    expect(of("muster.identity.user.joined.v1", UserJoinedSchema)).toMatchObject([{ ...ids, role: "owner" }]);
    expect(of("muster.identity.user.verified.v1", UserVerifiedSchema)).toMatchObject([ids]);
  });

  test("without a name of an organization the user has none", async () => {
    const user = await identity.newUser();
    expect((await identity.call(getMe, {}, identity.as(user))).me?.organizations).toEqual([]);
  });

  test("an unknown invitation token is ignored", async () => {
    const user = await identity.newUser(undefined, { invitationToken: "no-such-invitation" });
    expect(user.isEmailVerified).toBe(true);
  });

  test("a token works once and within 24 hours", async () => {
    const [used, late] = [identity.newAddress(), identity.newAddress()];
    await identity.register(used);
    const token = await identity.mails.nextToken(used);
    await verify(token);
    await expectReason(verify(token), "TOKEN_INVALID");

    await identity.register(late);
    const lateToken = await identity.mails.nextToken(late);
    identity.later(24 * 3_600_000);
    await expectReason(verify(lateToken), "TOKEN_INVALID");
    expect(await identity.findUser(late)).toBeUndefined();
    for (const garbled of ["", "x", `${token}x`, token.slice(1)]) {
      await expectReason(verify(garbled), "TOKEN_INVALID");
    }
  });

  test("a verification voids the other registrations of the address and their passwords", async () => {
    const email = identity.newAddress();
    await identity.register(email.toUpperCase(), { password: "the attacker's password" });
    const attackers = await identity.mails.nextToken(email.toUpperCase());
    await identity.register(email, { organizationName: "Own" });
    await verify(await identity.mails.nextToken(email));
    await expectReason(verify(attackers), "TOKEN_INVALID");
    expect(await identity.hasPassword(email, PASSWORD)).toBe(true);
    expect(await identity.hasPassword(email, "the attacker's password")).toBe(false);
  });

  test("of several verifications at once one creates the account", async () => {
    const email = identity.newAddress();
    const tokens: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      await identity.register(email, { organizationName: `Organization ${count}` });
      tokens.push(await identity.mails.nextToken(email));
    }
    const outcomes = await Promise.allSettled(tokens.map(verify));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ reason: "TOKEN_INVALID" });
    }
    const user = await identity.userOf(email);
    const { me } = await identity.call(getMe, {}, identity.as(user));
    expect(me?.organizations).toHaveLength(1);
  });

  test("an address with an account gets a mail that says so, and a registration changes nothing", async () => {
    const user = await identity.newUser();
    await identity.register(user.email, { password: NEW_PASSWORD, name: "Mallory" });
    const mail = await identity.mails.next(user.email);
    expect(mail.subject).toBe("You already have an account");
    expect(mail.text).not.toMatch(/Mallory|token=/);
    expect(await identity.userOf(user.email)).toEqual(user);
  });

  test("a registration that was begun before the address had an account dies with it", async () => {
    const email = identity.newAddress();
    await identity.register(email, { password: "the attacker's password" });
    const attackers = await identity.mails.nextToken(email);
    const user = await identity.newUser(email);
    await expectReason(verify(attackers), "TOKEN_INVALID");
    expect(await identity.userOf(email)).toEqual(user);
  });

  test("the mail is sent again, and both links work until one is used", async () => {
    const email = identity.newAddress();
    await identity.register(email);
    const first = await identity.mails.nextToken(email);
    await identity.call(resendVerification, { email: ` ${email.toUpperCase()}` });
    const second = await identity.mails.nextToken(email);
    await verify(first);
    await expectReason(verify(second), "TOKEN_INVALID");
    expect(await identity.hasPassword(email, PASSWORD)).toBe(true);
  });

  test("a repeated mail of an address with several registrations opens the account without a password", async () => {
    const email = identity.newAddress();
    await identity.register(email);
    await identity.register(email, { password: "the attacker's password" });
    for (let count = 0; count < 2; count += 1) await identity.mails.nextToken(email);
    await identity.call(resendVerification, { email });
    await verify(await identity.mails.nextToken(email));
    expect((await identity.userOf(email)).passwordHash).toBeUndefined();
  });

  test("the mail is not sent again to an address with an account, or without a registration", async () => {
    const user = await identity.newUser();
    const [unknown, other] = [identity.newAddress(), identity.newAddress()];
    await identity.call(resendVerification, { email: user.email });
    await identity.call(resendVerification, { email: unknown });
    await identity.register(other);
    await identity.mails.next(other);
    const mailsTo = (address: string) => identity.mails.all.filter(({ to }) => to === address).length;
    expect([mailsTo(user.email), mailsTo(unknown)]).toEqual([1, 0]);
  });

  test.each([
    ["email", { email: "no address" }],
    ["email", { email: "ada@example.com\r\nBcc: eve@example.com" }],
    ["name", { name: " " }],
    ["name", { name: "Ada\nBcc: eve@example.com" }],
    ["name", { name: "x".repeat(101) }],
    ["password", { password: "short" }],
    ["password", { password: "x".repeat(1_025) }],
  ])("a bad %s is refused: %j", async (field, bad) => {
    const call = identity.call(register, {
      email: "ada@example.com",
      password: PASSWORD,
      name: "Ada",
      ...bad,
    });
    await expectReason(call, "FIELD_INVALID", { fields: [{ field }] });
  });

  test("cases and Unicode forms of an address are one account, plus forms are not", async () => {
    const user = await identity.newUser("Kelvin@example.com");
    for (const same of ["kelvin@EXAMPLE.com", "\u212Aelvin@example.com"]) {
      await identity.register(same);
      expect((await identity.mails.next(user.email)).subject).toBe("You already have an account");
    }
    expect((await identity.newUser("kelvin+x@example.com")).id).not.toBe(user.id);
  });

  test("a registration with the Kelvin sign sends its mail to the address with the letter", async () => {
    await identity.register("\u212Aarl@example.com");
    await verify(await identity.mails.nextToken("Karl@example.com"));
    expect((await identity.userOf("karl@example.com")).email).toBe("Karl@example.com");
  });

  test("the Idempotency-Key of a registration is the key of its address", async () => {
    const [one, other] = [identity.newAddress(), identity.newAddress()];
    const as = { idempotencyKey: "register" };
    await identity.register(one, {}, as);
    await identity.register(other, {}, as);
    // A repeated call sends no second mail, whatever the password.
    const replayed = await identity.callWithHeaders(
      register,
      { email: one, password: NEW_PASSWORD, name: "Ada" },
      as,
    );
    expect(replayed.headers.get("idempotency-replayed")).toBe("true");
    await identity.mails.next(one);
    await verify(await identity.mails.nextToken(other));
    expect(identity.mails.all.filter(({ to }) => to === one)).toHaveLength(1);
    const conflict = identity.call(register, { email: one, password: PASSWORD, name: "Eve" }, as);
    await expectReason(conflict, "IDEMPOTENCY_KEY_REUSED");
  });
});
