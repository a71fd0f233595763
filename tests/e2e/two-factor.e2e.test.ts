// Runs the flows of second factors and magic links over REST, gRPC and Connect: enrollment, login, step-up, backup
// codes, recovery, disabling, link and code.
import { createHash, randomBytes } from "node:crypto";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { oathtoolCode } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { Mailbox } from "../harness/mailbox.ts";
import { connectMount, grpcMount, type Mount, type MountRefusal, restMount } from "../harness/mounts.ts";

const { register, verifyEmail, getMe } = AccountService.method;
const { login } = SessionService.method;
const { sendMagicLink, redeemMagicLink } = MagicLinkService.method;
const two = TwoFactorService.method;

const PASSWORD = "correct horse battery staple";
const STEP_MS = 30_000;

describe.each([
  ["REST", restMount],
  ["gRPC", grpcMount],
  ["Connect", connectMount],
])("second factors over %s", (_, mountOf) => {
  let installation: Installation;
  let mount: Mount;
  let mails: Mailbox;

  beforeAll(async () => {
    installation = await startInstallation("embedded");
    mount = mountOf(installation);
    mails = Mailbox.of(installation);
  });
  afterAll(async () => installation?.stop());

  /** The token of the next mail to the address whose link opens the page, and its code, if any. */
  async function mailed(email: string, page: string): Promise<{ token: string; code: string }> {
    for (;;) {
      const { text } = await mails.next(email);
      const [, token] = new RegExp(`/m/${page}#token=(\\S+)`).exec(text) ?? [];
      if (token !== undefined) return { token, code: /\b[0-9]{6}\b/.exec(text)?.[0] ?? "" };
    }
  }

  async function refusal(call: Promise<unknown>): Promise<MountRefusal> {
    return call.then(
      () => expect.unreachable("the call was to be refused"),
      (error: MountRefusal) => error,
    );
  }

  async function newUser(): Promise<{ email: string; accessToken: string }> {
    const email = `ada-${randomBytes(6).toString("hex")}@example.test`;
    await mount.call(register, { email, password: PASSWORD, name: "Ada" });
    await mount.call(verifyEmail, { token: (await mailed(email, "verify-email")).token });
    const { tokens } = await mount.call(login, { email, password: PASSWORD });
    return { email, accessToken: tokens?.accessToken ?? "" };
  }

  async function challengeOf(email: string): Promise<string> {
    const { reason, details } = await refusal(mount.call(login, { email, password: PASSWORD }));
    expect(reason).toBe("TWO_FACTOR_REQUIRED");
    return details.challenge ?? "";
  }

  test("enrollment, login by both kinds of codes, step-up, new backup codes, disabling", async () => {
    const { email, accessToken } = await newUser();
    const { secret, otpauthUri, qrSvg } = await mount.call(two.enrollTwoFactor, {}, accessToken);
    expect(otpauthUri).toContain(`secret=${secret}`);
    expect(qrSvg).toMatch(/^<svg /);
    const nowMs = Date.now();
    const code = await oathtoolCode(secret, nowMs);
    const { backupCodes } = await mount.call(two.confirmTwoFactor, { code }, accessToken);
    expect(backupCodes.length).toBe(10);
    expect((await mount.call(getMe, {}, accessToken)).me?.twoFactorEnabled).toBe(true);

    const challenge = await challengeOf(email);
    const repeated = mount.call(two.loginWithTwoFactor, { challenge, code });
    expect((await refusal(repeated)).reason).toBe("CODE_INVALID");
    const next = await oathtoolCode(secret, nowMs + STEP_MS);
    const { tokens } = await mount.call(two.loginWithTwoFactor, { challenge, code: next });
    const [first = "", second = ""] = backupCodes;
    await mount.call(two.loginWithTwoFactor, { challenge: await challengeOf(email), code: first });

    const session = tokens?.accessToken ?? "";
    const enter = (credential: { case: "code" | "password"; value: string }) =>
      mount.call(two.reauthenticate, { credential }, session);
    expect((await refusal(enter({ case: "code", value: first }))).reason).toBe("CREDENTIALS_INVALID");
    expect((await refusal(enter({ case: "password", value: "wrong" }))).reason).toBe("CREDENTIALS_INVALID");
    await enter({ case: "code", value: second });
    await enter({ case: "password", value: PASSWORD });
    const renewed = await mount.call(two.createBackupCodes, {}, session);
    expect(renewed.backupCodes.length).toBe(10);
    await mount.call(two.disableTwoFactor, {}, session);
    expect((await mount.call(getMe, {}, session)).me?.twoFactorEnabled).toBe(false);
    await mount.call(login, { email, password: PASSWORD });
  });

  test("recovery is requested, scheduled, shown, and canceled by a session and by its mail", async () => {
    const { email, accessToken } = await newUser();
    const { secret } = await mount.call(two.enrollTwoFactor, {}, accessToken);
    const code = await oathtoolCode(secret, Date.now());
    await mount.call(two.confirmTwoFactor, { code }, accessToken);
    const schedule = async (): Promise<number> => {
      await mount.call(two.recoverTwoFactor, { challenge: await challengeOf(email) });
      const { token } = await mailed(email, "recover-confirm");
      const { effectiveTime } = await mount.call(two.confirmTwoFactorRecovery, { token });
      return effectiveTime === undefined ? 0 : timestampMs(effectiveTime);
    };
    const shown = async (): Promise<number | undefined> => {
      const { me } = await mount.call(getMe, {}, accessToken);
      return me?.twoFactorRecoveryTime && timestampMs(me.twoFactorRecoveryTime);
    };
    const effectiveMs = await schedule();
    expect(Math.abs(effectiveMs - Date.now() - 72 * 3_600_000)).toBeLessThan(60_000);
    expect(await shown()).toBe(effectiveMs);
    await mount.call(two.cancelTwoFactorRecovery, {}, accessToken);
    expect(await shown()).toBeUndefined();
    await mailed(email, "recover-cancel");
    await schedule();
    const { token } = await mailed(email, "recover-cancel");
    await mount.call(two.cancelTwoFactorRecovery, { token });
    expect(await shown()).toBeUndefined();
    expect((await refusal(mount.call(two.cancelTwoFactorRecovery, {}))).reason).toBe("UNAUTHENTICATED");
  });

  test("a magic link and a code sign in, and the session needs a step-up for sensitive methods", async () => {
    const { email } = await newUser();
    const codeVerifier = randomBytes(32).toString("base64url");
    const codeChallenge = createHash("sha256").update(codeVerifier).digest("base64url");
    await mount.call(sendMagicLink, { email });
    const link = await mailed(email, "magic-link");
    const { tokens } = await mount.call(redeemMagicLink, { token: link.token });
    expect((await refusal(mount.call(redeemMagicLink, { token: link.token }))).reason).toBe("CODE_INVALID");
    const session = tokens?.accessToken ?? "";
    const { reason, details } = await refusal(mount.call(two.disableTwoFactor, {}, session));
    expect([reason, String(details.methods)]).toEqual(["STEP_UP_REQUIRED", "password"]);
    await mount.call(two.reauthenticate, { credential: { case: "password", value: PASSWORD } }, session);
    expect((await refusal(mount.call(two.disableTwoFactor, {}, session))).reason).toBe(
      "TWO_FACTOR_NOT_ENABLED",
    );

    await mount.call(sendMagicLink, { email, codeChallenge });
    const { code } = await mailed(email, "magic-link");
    expect((await mount.call(redeemMagicLink, { code, codeVerifier })).tokens?.accessToken).not.toBe("");
  });

  test("GET and HEAD of pages and routes of links change nothing", async () => {
    const { email } = await newUser();
    await mount.call(sendMagicLink, { email });
    const { token } = await mailed(email, "magic-link");
    const paths = ["magic-link:redeem", "two-factor:recover-confirm", "two-factor:recover-cancel"];
    for (const path of paths) {
      for (const method of ["GET", "HEAD"]) {
        const response = await fetch(`${installation.url}/v1/${path}?token=${token}`, { method });
        expect(response.status, `${method} ${path}`).toBe(405);
      }
    }
    for (const method of ["GET", "HEAD"]) {
      const page = await fetch(`${installation.url}/m/magic-link?token=${token}`, { method });
      expect(page.status).toBe(200);
    }
    expect((await mount.call(redeemMagicLink, { token })).tokens?.accessToken).not.toBe("");
  });
});
