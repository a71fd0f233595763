// Tests that no secret of a second factor or of a magic link is stored in clear.
import { createHash, randomBytes } from "node:crypto";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { ENGINES, findInTables } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TwoFactorUnderTest } from "./two-factor-under-test.ts";

const { enrollTwoFactor, confirmTwoFactor, loginWithTwoFactor, recoverTwoFactor } = TwoFactorService.method;

describe.each(ENGINES)("secrets on %s", (engine) => {
  let identity: TwoFactorUnderTest;

  beforeAll(async () => {
    identity = await TwoFactorUnderTest.open(engine);
  });
  afterAll(() => identity.close());

  test("the database contains no secret in clear, kept responses included", async () => {
    const user = await identity.user();
    const as = (idempotencyKey: string) => ({ user: user.session, idempotencyKey });
    const { secret, otpauthUri } = await identity.call(enrollTwoFactor, {}, as("enroll"));
    const code = await identity.code(secret);
    const { backupCodes } = await identity.call(confirmTwoFactor, { code }, as("confirm"));
    identity.nextStep();
    const [challenge, open] = [await identity.challenge(user), await identity.challenge(user)];
    const [backupCode = ""] = backupCodes;
    const { tokens } = await identity.call(
      loginWithTwoFactor,
      { challenge, code: backupCode },
      { idempotencyKey: "login" },
    );
    await identity.call(recoverTwoFactor, { challenge: open });
    const recoveryToken = await identity.mailedToken(user, "recover-confirm");
    const codeChallenge = createHash("sha256").update(randomBytes(32)).digest("base64url");
    const { sendMagicLink } = MagicLinkService.method;
    await identity.call(sendMagicLink, { email: user.email, codeChallenge });
    const linkToken = await identity.mailedToken(user, "magic-link");

    // The search finds what is stored in clear.
    expect(await findInTables(identity.database, user.email)).toContain("users.email");
    const secrets = [
      secret,
      otpauthUri,
      challenge,
      open,
      recoveryToken,
      linkToken,
      tokens?.refreshToken ?? "",
    ];
    for (const text of [...secrets, ...backupCodes, ...backupCodes.map((one) => one.replace("-", ""))]) {
      expect(text.length).toBeGreaterThan(9);
      expect(await findInTables(identity.database, text), text).toEqual([]);
    }
  });
});
