// Tests registration, login, refresh and logout with real processes in both modes, and mails over SMTP in production
// mode.
import { randomBytes } from "node:crypto";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { Mailbox } from "../harness/mailbox.ts";
import { connectMount, grpcMount, type Mount, restMount } from "../harness/mounts.ts";
import { RestClient } from "../harness/rest.ts";

const { register, verifyEmail, getMe } = AccountService.method;
const { login, refreshToken: refresh, logout } = SessionService.method;
const PASSWORD = "correct horse battery";
const START_MS = 180_000;
const SESSION_ENDED = { reason: "SESSION_ENDED" };

const newEmail = () => `${randomBytes(6).toString("hex")}@example.test`;

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let mails: Mailbox;
  let muster: Installation;

  beforeAll(async () => {
    mails = await Mailbox.open(mode);
    muster = await startInstallation(mode, mails.variables);
    mails.attach(muster);
  }, START_MS);
  afterAll(async () => {
    await muster?.stop();
    await mails?.close();
  });

  async function signIn(mount: Mount, email: string, password = PASSWORD) {
    const { tokens } = await mount.call(login, { email, password });
    if (tokens === undefined) throw new Error("a login without tokens");
    return tokens;
  }

  async function signUp(mount: Mount, email: string, organizationName?: string) {
    const organization = organizationName === undefined ? {} : { organizationName };
    await mount.call(register, { email, password: PASSWORD, name: "Ada", ...organization });
    await mount.call(verifyEmail, { token: await mails.nextToken(email) });
    return signIn(mount, email);
  }

  describe.each([
    ["REST", restMount],
    ["gRPC", grpcMount],
    ["Connect", connectMount],
  ])("over %s", (_, mountOf) => {
    let mount: Mount;
    beforeAll(() => {
      mount = mountOf(muster);
    });

    const emailOf = async (accessToken: string) => (await mount.call(getMe, {}, accessToken)).me?.email;

    test("a person registers, verifies the address, signs in, refreshes and signs out", async () => {
      const email = newEmail();
      await mount.call(register, { email, password: PASSWORD, name: "Ada Lovelace" });
      await expect(signIn(mount, email)).rejects.toMatchObject({ reason: "EMAIL_NOT_VERIFIED" });
      const token = await mails.nextToken(email);
      await mount.call(verifyEmail, { token });
      await expect(mount.call(verifyEmail, { token })).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
      const wrong = signIn(mount, email, "a wrong password");
      await expect(wrong).rejects.toMatchObject({ reason: "LOGIN_FAILED" });

      const first = await signIn(mount, email);
      // 256 random bits.
      expect(first.refreshToken).toMatch(/^mr_[\w-]{43}$/);
      const { me } = await mount.call(getMe, {}, first.accessToken);
      expect(me).toMatchObject({ email, emailVerified: true, name: "Ada Lovelace", twoFactorEnabled: false });
      const second = (await mount.call(refresh, { refreshToken: first.refreshToken })).tokens;
      if (second === undefined) throw new Error("a refresh without tokens");
      expect(second.refreshToken).not.toBe(first.refreshToken);
      expect(await emailOf(second.accessToken)).toBe(email);

      await mount.call(logout, {}, second.accessToken);
      await expect(emailOf(second.accessToken)).rejects.toMatchObject(SESSION_ENDED);
      await expect(emailOf(first.accessToken)).rejects.toMatchObject(SESSION_ENDED);
      const refreshed = mount.call(refresh, { refreshToken: second.refreshToken });
      await expect(refreshed).rejects.toMatchObject(SESSION_ENDED);
    });

    test("a credential that is no longer valid does not block a refresh", async () => {
      let { refreshToken } = await signUp(mount, newEmail());
      for (const accessToken of ["expired.token.here", "garbage", muster.apiKey]) {
        const { tokens } = await mount.call(refresh, { refreshToken }, accessToken);
        refreshToken = tokens?.refreshToken ?? "";
      }
    });

    test("a refresh token of nobody is refused", async () => {
      for (const refreshToken of ["", "garbage", "x".repeat(500)]) {
        const refused = mount.call(refresh, { refreshToken });
        await expect(refused).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
      }
    });
  });

  test("a person reads the account, an API key and nobody do not", async () => {
    const rest = new RestClient({ url: muster.url, apiKey: undefined });
    const { accessToken } = await signUp(restMount(muster), newEmail());
    const read = async (credential?: string) => {
      const headers = credential === undefined ? {} : { authorization: `Bearer ${credential}` };
      const { status, body } = await rest.request("GET", "/v1/me", undefined, headers);
      return [status, body.reason];
    };
    expect(await read(accessToken)).toEqual([200, undefined]);
    expect(await read(muster.apiKey)).toEqual([403, "PERMISSION_DENIED"]);
    expect(await read()).toEqual([401, "UNAUTHENTICATED"]);
  });

  test("the owner of an organization works in it, and a person without one nowhere", async () => {
    const rest = new RestClient({ url: muster.url, apiKey: undefined });
    const mount = restMount(muster);
    const owner = await signUp(mount, newEmail(), "Ours");
    const stranger = await signUp(mount, newEmail());
    const create = async ({ accessToken }: { readonly accessToken: string }) => {
      const headers = { authorization: `Bearer ${accessToken}` };
      const { status, body } = await rest.request("POST", "/v1/profiles", { user_id: "u-1" }, headers);
      return [status, body.reason];
    };
    expect(await create(owner)).toEqual([201, undefined]);
    expect(await create(stranger)).toEqual([403, "ORGANIZATION_REQUIRED"]);
  });
});
