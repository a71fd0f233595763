// Tests signing in by a mailed link or code.
import { createHash, randomBytes } from "node:crypto";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findUser } from "../../src/users/user-store.ts";
import {
  HOUR_MS,
  MINUTE_MS,
  outcomesOf,
  type TestUser,
  TwoFactorUnderTest,
} from "./two-factor-under-test.ts";

const { redeemMagicLink, sendMagicLink } = MagicLinkService.method;
const { loginWithTwoFactor } = TwoFactorService.method;

interface Mailed {
  readonly token: string;
  /** Empty where the mail has none. */
  readonly code: string;
}

function newVerifier(): { readonly codeVerifier: string; readonly codeChallenge: string } {
  const codeVerifier = randomBytes(32).toString("base64url");
  return { codeVerifier, codeChallenge: createHash("sha256").update(codeVerifier).digest("base64url") };
}

/** A code that differs from the right one. */
function wrong(code: string): string {
  return String((Number(code) + 1) % 1_000_000).padStart(6, "0");
}

describe.each(ENGINES)("magic links on %s", (engine) => {
  let identity: TwoFactorUnderTest;

  beforeAll(async () => {
    identity = await TwoFactorUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  const send = async (user: TestUser, codeChallenge?: string): Promise<Mailed> => {
    const email = user.email;
    await identity.call(sendMagicLink, codeChallenge === undefined ? { email } : { email, codeChallenge });
    for (;;) {
      const { text } = await identity.mails.next(email);
      const [, token] = /\/m\/magic-link#token=(\S+)/.exec(text) ?? [];
      if (token !== undefined) return { token, code: /\b[0-9]{6}\b/.exec(text)?.[0] ?? "" };
    }
  };

  const redeem = (request: {
    readonly token?: string;
    readonly code?: string;
    readonly codeVerifier?: string;
  }) => identity.call(redeemMagicLink, request);

  const isLinkRow = async ({ id }: TestUser): Promise<boolean> => {
    const rows = await identity.database.reader("magic_links").select("user_id");
    return rows.some(
      ({ user_id }) => user_id !== null && Buffer.from(user_id).toString("hex") === id.replaceAll("-", ""),
    );
  };

  test("without a challenge the link signs in, once, and the mail has no code", async () => {
    const user = await identity.user();
    const { token, code } = await send(user);
    expect(code).toBe("");
    const { tokens } = await redeem({ token });
    expect(tokens?.accessToken).not.toBe("");
    await expectReason(redeem({ token }), "CODE_INVALID");
    expect(await isLinkRow(user)).toBe(false);
  });

  test("of parallel calls with one link, one signs in", async () => {
    const { token } = await send(await identity.user());
    const outcomes = await outcomesOf(Array.from({ length: 6 }, () => redeem({ token })));
    expect(outcomes).toEqual({ accepted: 1, CODE_INVALID: 5 });
  });

  test("with a challenge, the link and the code need the verifier", async () => {
    const user = await identity.user();
    const { codeVerifier, codeChallenge } = newVerifier();
    const other = newVerifier().codeVerifier;
    const first = await send(user, codeChallenge);
    await expectReason(redeem({ token: first.token }), "CODE_INVALID");
    await expectReason(redeem({ token: first.token, codeVerifier: other }), "CODE_INVALID");
    await expectReason(redeem({ token: first.token, codeVerifier: codeChallenge }), "CODE_INVALID");
    await redeem({ token: first.token, codeVerifier });
    const second = await send(user, codeChallenge);
    await expectReason(redeem({ code: second.code, codeVerifier: other }), "CODE_INVALID");
    await redeem({ code: `${second.code.slice(0, 3)} ${second.code.slice(3)}`, codeVerifier });
    await expectReason(redeem({ token: second.token, codeVerifier }), "CODE_INVALID");
    await expectReason(redeem({ code: second.code, codeVerifier }), "CODE_INVALID");
  });

  test("a link whose challenge somebody removed from the request refuses the client's verifier", async () => {
    const { token } = await send(await identity.user());
    await expectReason(redeem({ token, codeVerifier: newVerifier().codeVerifier }), "CODE_INVALID");
  });

  test("malformed requests name the field", async () => {
    const { codeVerifier } = newVerifier();
    const field = (name: string) => ({ fields: [expect.objectContaining({ field: name })] });
    await expectReason(redeem({}), "FIELD_INVALID", field("token"));
    await expectReason(redeem({ token: "x", code: "123456", codeVerifier }), "FIELD_INVALID", field("token"));
    await expectReason(redeem({ code: "123456" }), "FIELD_INVALID", field("code_verifier"));
    const email = "ada@example.test";
    const codeChallenge = "+".repeat(43);
    await expectReason(
      identity.call(sendMagicLink, { email, codeChallenge }),
      "FIELD_INVALID",
      field("code_challenge"),
    );
    await expectReason(identity.call(sendMagicLink, { email: "ada" }), "FIELD_INVALID", field("email"));
  });

  test("the code means the newest mail of its challenge", async () => {
    const user = await identity.user();
    const { codeVerifier, codeChallenge } = newVerifier();
    const first = await send(user, codeChallenge);
    identity.passTime(1);
    const second = await send(user, codeChallenge);
    if (first.code !== second.code) {
      await expectReason(redeem({ code: first.code, codeVerifier }), "CODE_INVALID");
    }
    await redeem({ code: second.code, codeVerifier });
    // Now the first mail is the newest one.
    await redeem({ code: first.code, codeVerifier });
  });

  test("five wrong codes end the code of a mail, not its link, in parallel too", async () => {
    const user = await identity.user();
    const { codeVerifier, codeChallenge } = newVerifier();
    const { token, code } = await send(user, codeChallenge);
    const guesses = Array.from({ length: 8 }, () => redeem({ code: wrong(code), codeVerifier }));
    expect(await outcomesOf(guesses)).toEqual({ CODE_INVALID: 8 });
    await expectReason(redeem({ code, codeVerifier }), "CODE_INVALID");
    await redeem({ token, codeVerifier });
    const [row] = await identity.database
      .reader("code_guesses")
      .select<{ failure_times_ms: string }[]>("failure_times_ms")
      .where("user_id", Buffer.from(user.id.replaceAll("-", ""), "hex"));
    expect(JSON.parse(row?.failure_times_ms ?? "[]").length).toBe(5);
  });

  test("fifteen wrong codes a day end the codes of an account, over all mails and challenges", async () => {
    const user = await identity.user();
    for (let mail = 0; mail < 3; mail += 1) {
      const { codeVerifier, codeChallenge } = newVerifier();
      const { code } = await send(user, codeChallenge);
      for (let guess = 0; guess < 5; guess += 1) {
        await expectReason(redeem({ code: wrong(code), codeVerifier }), "CODE_INVALID");
      }
      // The mailer limits the mails of an hour.
      identity.passTime(HOUR_MS);
    }
    const { codeVerifier, codeChallenge } = newVerifier();
    const { code, token } = await send(user, codeChallenge);
    await expectReason(redeem({ code, codeVerifier }), "CODE_INVALID");
    await redeem({ token, codeVerifier });
    identity.passTime(24 * HOUR_MS);
    const later = await send(user, codeChallenge);
    await redeem({ code: later.code, codeVerifier });
  });

  test("wrong mail codes lock no second factor", async () => {
    const user = await identity.enabledUser();
    for (let mail = 0; mail < 3; mail += 1) {
      const { codeVerifier, codeChallenge } = newVerifier();
      const { code } = await send(user, codeChallenge);
      for (let guess = 0; guess < 5; guess += 1) {
        await expectReason(redeem({ code: wrong(code), codeVerifier }), "CODE_INVALID");
      }
    }
    await identity.login(user, await identity.code(user.secret));
  });

  test("the second factor still applies, and the link is used up", async () => {
    const user = await identity.enabledUser();
    const { token } = await send(user);
    const { details } = await expectReason(redeem({ token }), "TWO_FACTOR_REQUIRED");
    await expectReason(redeem({ token }), "CODE_INVALID");
    const challenge = details.challenge ?? "";
    const code = await identity.code(user.secret);
    const { tokens } = await identity.call(loginWithTwoFactor, { challenge, code });
    expect(tokens?.accessToken).not.toBe("");
  });

  test("a link lives ten minutes, and dies with a change of the address or the password", async () => {
    const user = await identity.user();
    const { codeVerifier, codeChallenge } = newVerifier();
    const [late, last] = [await send(user, codeChallenge), await send(user)];
    identity.passTime(10 * MINUTE_MS - 1);
    await redeem({ token: last.token });
    identity.passTime(1);
    await expectReason(redeem({ token: late.token, codeVerifier }), "CODE_INVALID");
    await expectReason(redeem({ code: late.code, codeVerifier }), "CODE_INVALID");
    const changed = await send(user, codeChallenge);
    await identity.changeSecurityVersion(user);
    await expectReason(redeem({ token: changed.token, codeVerifier }), "CODE_INVALID");
    await expectReason(redeem({ code: changed.code, codeVerifier }), "CODE_INVALID");
  });

  test("redeeming proves the address, and removes registrations and passwords from before the proof", async () => {
    const user = await identity.user({ isEmailVerified: false, passwordHash: "of a stranger" });
    await identity.call(AccountService.method.register, {
      email: user.email,
      password: "correct horse battery staple",
      name: "A stranger",
    });
    const registered = await identity.mailedToken(user, "verify-email");
    const { token } = await send(user);
    await redeem({ token });
    const verified = await findUser(identity.database.reader, user.id);
    expect(verified).toMatchObject({ isEmailVerified: true, passwordHash: undefined });
    const verify = identity.call(AccountService.method.verifyEmail, { token: registered });
    await expectReason(verify, "TOKEN_INVALID");
  });

  test("an account that needs a new password is not opened", async () => {
    const user = await identity.user({ isPasswordResetRequired: true });
    const { token } = await send(user);
    await expectReason(redeem({ token }), "PASSWORD_RESET_REQUIRED");
  });

  test("an unknown address gets the same response and rows, and no mail", async () => {
    const email = `Nobody-${randomBytes(4).toString("hex")}@example.test`;
    const { codeVerifier, codeChallenge } = newVerifier();
    const rows = async () => (await identity.database.reader("magic_links").select("id")).length;
    const before = await rows();
    await identity.call(sendMagicLink, { email, codeChallenge });
    expect(await rows()).toBe(before + 1);
    await expectReason(redeem({ code: "123456", codeVerifier }), "CODE_INVALID");
    // A later mail has been sent, so a mail to the unknown address would have been sent too.
    await send(await identity.user());
    expect(identity.mails.all.filter(({ to }) => to === email)).toEqual([]);
  });

  test("an address is found in every spelling, and mail goes to the stored one", async () => {
    const email = `Ada.${randomBytes(4).toString("hex")}@Example.Test`;
    const user = await identity.user({ email, emailKey: email.toLowerCase() });
    await identity.call(sendMagicLink, { email: ` ${email.toUpperCase()} ` });
    const token = await identity.mailedToken(user, "magic-link");
    await redeem({ token });
  });

  test("a mail that the limit of the address withholds replaces no earlier code", async () => {
    const user = await identity.user();
    const { codeVerifier, codeChallenge } = newVerifier();
    let last: Mailed | undefined;
    for (let mail = 0; mail < 5; mail += 1) {
      identity.passTime(1);
      last = await send(user, codeChallenge);
    }
    identity.passTime(1);
    await identity.call(sendMagicLink, { email: user.email, codeChallenge });
    await redeem({ code: last?.code ?? "", codeVerifier });
  });

  test("expired links and challenges are deleted", async () => {
    const user = await identity.enabledUser();
    await send(user);
    await identity.challenge(user);
    identity.passTime(HOUR_MS);
    await identity.clock.advance(2 * MINUTE_MS);
    await expect.poll(() => isLinkRow(user), { timeout: 10_000 }).toBe(false);
  });
});
