// LoginWithTwoFactor: finishes a login by a TOTP code or a backup code.
import { create } from "@bufbuild/protobuf";
import {
  LoginWithTwoFactorResponseSchema,
  type TwoFactorService,
} from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { completeLogin } from "../login/complete-login.ts";
import { deleteChallenge } from "../two-factor/challenge-store.ts";
import { checkCode } from "../two-factor/check-code.ts";
import { lockChallenge } from "../two-factor/lock-challenge.ts";
import { refusalOf } from "../two-factor/refused-code.ts";
import { trustTotpFactor, useTotpStep } from "../two-factor/totp-factor-store.ts";
import { totpStep } from "../two-factor-rules/totp.ts";

export function loginWithTwoFactor(
  deps: IdentityDeps,
): UnaryHandler<typeof TwoFactorService.method.loginWithTwoFactor> {
  return async (request, context) => {
    const nowMs = await deps.database.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { challenge, user, factor } = await lockChallenge(trx, request.challenge, nowMs);
      const check = await checkCode(trx, deps.twoFactorKeys, { user, factor, typed: request.code }, nowMs);
      const { client } = context;
      if (check.kind !== "accepted")
        throw await refusalOf(deps, trx, write, { check, user, client, nowMs }, "CODE_INVALID");
      await deleteChallenge(trx, challenge.hash);
      await trustTotpFactor(trx, user.id, nowMs);
      if (check.method === "backup_code") {
        // A thief who read both codes from one screen cannot sign in with the TOTP code.
        await useTotpStep(trx, user.id, totpStep(nowMs));
        await insertActivity(trx, deps, { userId: user.id, kind: "backup_code_used", timeMs: nowMs, client });
      }
      const tokens = await completeLogin(deps, trx, write, {
        user,
        methods: [challenge.method, check.method],
        device: challenge.device && { ...challenge.device, userId: user.id },
        client,
        nowMs,
      });
      return create(LoginWithTwoFactorResponseSchema, { tokens });
    });
  };
}
