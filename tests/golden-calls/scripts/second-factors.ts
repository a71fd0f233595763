// Calls of second factors and magic links that make no random secrets: refusals, and a mail.
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import type { Script } from "./script.ts";

const TOKEN = "A".repeat(43);
const anonymous = { anonymous: true };
const ada = { key: "ada" };

async function twoFactor(calls: Recorder): Promise<void> {
  const { confirmTwoFactor, createBackupCodes, disableTwoFactor, enrollTwoFactor } = TwoFactorService.method;
  const { loginWithTwoFactor, reauthenticate, recoverTwoFactor } = TwoFactorService.method;
  const { cancelTwoFactorRecovery, confirmTwoFactorRecovery } = TwoFactorService.method;
  await calls.refused(loginWithTwoFactor, { challenge: TOKEN, code: "123456" }, anonymous);
  await calls.refused(enrollTwoFactor, {});
  await calls.refused(confirmTwoFactor, { code: "123456" }, ada);
  await calls.refused(disableTwoFactor, {}, ada);
  await calls.refused(createBackupCodes, {}, ada);
  await calls.refused(recoverTwoFactor, { challenge: TOKEN }, anonymous);
  await calls.refused(confirmTwoFactorRecovery, { token: TOKEN }, anonymous);
  await calls.refused(cancelTwoFactorRecovery, { token: TOKEN }, anonymous);
  await calls.refused(reauthenticate, { credential: { case: "code", value: "123456" } }, ada);
}

async function magicLinks(calls: Recorder): Promise<void> {
  const { redeemMagicLink, sendMagicLink } = MagicLinkService.method;
  await calls.ok(sendMagicLink, { email: "nobody@example.com" }, anonymous);
  await calls.refused(sendMagicLink, { email: "nobody@example.com", codeChallenge: "short" }, anonymous);
  await calls.refused(redeemMagicLink, { token: TOKEN }, anonymous);
}

export const secondFactorScripts: readonly Script[] = [
  { service: TwoFactorService, run: twoFactor },
  { service: MagicLinkService, run: magicLinks },
];
