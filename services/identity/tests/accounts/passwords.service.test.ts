// Tests resets and changes of passwords: which sessions and links end.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { randomIds, type SessionId } from "@muster/core";
import { createOrganizationDirect } from "@muster/service-identity";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findSession, insertSession } from "../../src/sessions/session-store.ts";
import { AccountHarness, NEW_PASSWORD, PASSWORD } from "./account-harness.ts";

const {
  changeEmail,
  changePassword,
  confirmEmailChange,
  forgotPassword,
  listActivities,
  resetPassword,
  verifyEmail,
} = AccountService.method;

describe.each(ENGINES)("passwords on %s", (engine) => {
  let identity: AccountHarness;

  beforeAll(async () => {
    identity = await AccountHarness.open(engine);
  });
  afterAll(() => identity.close());

  const newSession = async (userId: Parameters<AccountHarness["as"]>[0]["id"]): Promise<SessionId> => {
    const id = randomIds.next<SessionId>(0);
    const nowMs = identity.clock.nowMs();
    await identity.database.transaction((trx) =>
      insertSession(trx, {
        id,
        userId,
        organizationId: undefined,
        createTimeMs: nowMs,
        lastUsedTimeMs: nowMs,
        authenticatedTimeMs: nowMs,
        authenticationMethods: ["password"],
        expireTimeMs: nowMs + 86_400_000,
        endTimeMs: undefined,
        client: "",
        clientAddress: "",
      }),
    );
    return id;
  };

  const hasEnded = async (id: SessionId): Promise<boolean> =>
    (await findSession(identity.database.reader, id))?.endTimeMs !== undefined;

  const resetToken = async (email: string): Promise<string> => {
    await identity.call(forgotPassword, { email });
    return identity.mails.nextToken(email);
  };

  test("a reset sets the password, ends every session, mails the owner and is in the activities", async () => {
    const user = await identity.newUser();
    const session = await newSession(user.id);
    identity.later(1);
    await identity.call(resetPassword, { token: await resetToken(user.email), password: NEW_PASSWORD });
    expect(await identity.hasPassword(user.email, NEW_PASSWORD)).toBe(true);
    expect(await hasEnded(session)).toBe(true);
    expect((await identity.mails.next(user.email)).subject).toBe("Your password was changed");
    const { activities } = await identity.call(listActivities, {}, identity.as(user));
    expect(activities.map(({ kind }) => kind)).toEqual(["password_reset", "email_verified"]);
  });

  test("a token works once, for an hour, and not after a bad password", async () => {
    const { email } = await identity.newUser();
    const [used, late] = [await resetToken(email), await resetToken(email)];
    await expectReason(identity.call(resetPassword, { token: used, password: "short" }), "FIELD_INVALID");
    await identity.call(resetPassword, { token: used, password: NEW_PASSWORD });
    for (const token of [used, late]) {
      await expectReason(identity.call(resetPassword, { token, password: PASSWORD }), "TOKEN_INVALID");
    }
    await identity.mails.next(email);
    const token = await resetToken(email);
    identity.later(3_600_000);
    await expectReason(identity.call(resetPassword, { token, password: PASSWORD }), "TOKEN_INVALID");
  });

  test("a reset verifies the address of a user whom an operator has created", async () => {
    const email = identity.newAddress();
    const provisioning = { clock: identity.clock, ids: randomIds, name: "Acme", ownerEmail: email };
    await createOrganizationDirect(identity.database, provisioning);
    expect(await identity.userOf(email)).toMatchObject({ isEmailVerified: false });
    await identity.register(email);
    const registration = await identity.mails.nextToken(email);
    await identity.call(resetPassword, { token: await resetToken(email), password: NEW_PASSWORD });
    const user = await identity.userOf(email);
    expect(user.isEmailVerified).toBe(true);
    await expectReason(identity.call(verifyEmail, { token: registration }), "TOKEN_INVALID");
    const { activities } = await identity.call(listActivities, {}, identity.as(user));
    expect(activities.map(({ kind }) => kind).sort()).toEqual(["email_verified", "password_reset"]);
  });

  test("of several resets at once with one token one succeeds", async () => {
    const { email } = await identity.newUser();
    const token = await resetToken(email);
    const passwords = ["first of the passwords", "second of the passwords", "third of the passwords"];
    const outcomes = await Promise.allSettled(
      passwords.map((password) => identity.call(resetPassword, { token, password })),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    const winner = passwords[outcomes.findIndex(({ status }) => status === "fulfilled")] ?? "";
    expect(await identity.hasPassword(email, winner)).toBe(true);
  });

  test("a reset link does not survive a change of the password or the address", async () => {
    const changed = await identity.newUser();
    const beforeChange = await resetToken(changed.email);
    const change = { currentPassword: PASSWORD, password: NEW_PASSWORD };
    await identity.call(changePassword, change, identity.as(changed));

    const moved = await identity.newUser();
    const beforeMove = await resetToken(moved.email);
    const newEmail = identity.newAddress();
    await identity.call(changeEmail, { email: newEmail }, identity.as(moved));
    await identity.call(confirmEmailChange, { token: await identity.mails.nextToken(newEmail) });
    for (const token of [beforeChange, beforeMove]) {
      await expectReason(identity.call(resetPassword, { token, password: PASSWORD }), "TOKEN_INVALID");
    }
  });

  test("an address without an account gets no mail", async () => {
    const [unknown, pending] = [identity.newAddress(), identity.newAddress()];
    await identity.call(forgotPassword, { email: unknown });
    await identity.register(pending);
    await identity.mails.next(pending);
    await identity.call(forgotPassword, { email: pending });
    await resetToken((await identity.newUser()).email);
    const mailsTo = (address: string) => identity.mails.all.filter(({ to }) => to === address).length;
    expect([mailsTo(unknown), mailsTo(pending)]).toEqual([0, 1]);
  });

  test("a change needs the current password, and ends the other sessions only", async () => {
    const user = await identity.newUser();
    const [own, other] = [await newSession(user.id), await newSession(user.id)];
    const as = identity.as(user, own);
    const wrong = { currentPassword: "not the password", password: NEW_PASSWORD };
    await expectReason(identity.call(changePassword, wrong, as), "CREDENTIALS_INVALID");
    expect(await hasEnded(other)).toBe(false);
    const weak = { currentPassword: PASSWORD, password: user.email };
    await expectReason(identity.call(changePassword, weak, as), "FIELD_INVALID");

    await identity.call(changePassword, { currentPassword: PASSWORD, password: NEW_PASSWORD }, as);
    expect([await hasEnded(own), await hasEnded(other)]).toEqual([false, true]);
    expect(await identity.hasPassword(user.email, NEW_PASSWORD)).toBe(true);
    expect((await identity.mails.next(user.email)).subject).toBe("Your password was changed");
  });

  test("wrong passwords lock the change for the account", async () => {
    const user = await identity.newUser();
    const wrong = { currentPassword: "not the password", password: NEW_PASSWORD };
    for (let failures = 0; failures < 5; failures += 1) {
      await expectReason(identity.call(changePassword, wrong, identity.as(user)), "CREDENTIALS_INVALID");
    }
    const right = { currentPassword: PASSWORD, password: NEW_PASSWORD };
    await expectReason(identity.call(changePassword, right, identity.as(user)), "LOGIN_LOCKED");
    expect((await identity.mails.next(user.email)).subject).toBe("Unlock your account");
    // Whoever reads the mails of the address is the owner of the account.
    await identity.call(resetPassword, { token: await resetToken(user.email), password: PASSWORD });
    await identity.call(changePassword, right, identity.as(user));
  });

  test("of two changes at once one succeeds", async () => {
    const user = await identity.newUser();
    const passwords = ["first of the passwords", "second of the passwords"];
    const outcomes = await Promise.allSettled(
      passwords.map((password) =>
        identity.call(changePassword, { currentPassword: PASSWORD, password }, identity.as(user)),
      ),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});
