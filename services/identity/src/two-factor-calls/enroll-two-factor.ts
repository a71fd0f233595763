// EnrollTwoFactor: makes a secret for an authenticator, which counts once the user has entered a code of it.
import { create } from "@bufbuild/protobuf";
import {
  EnrollTwoFactorResponseSchema,
  type TwoFactorService,
} from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { callerOf, lockCaller } from "../two-factor/lock-caller.ts";
import { findSecondFactor } from "../two-factor/second-factor.ts";
import { saveEnrollment, sealTotpSecret } from "../two-factor/totp-factor-store.ts";
import { otpauthUri, qrSvg } from "../two-factor-rules/otpauth.ts";
import { newTotpSecret, totpSecretText } from "../two-factor-rules/totp.ts";
import { completeRecovery } from "./complete-recovery.ts";

export function enrollTwoFactor(
  deps: IdentityDeps,
): UnaryHandler<typeof TwoFactorService.method.enrollTwoFactor> {
  return async (_request, context) => {
    const nowMs = await deps.database.nowMs();
    const secret = newTotpSecret();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await lockCaller(trx, callerOf(context));
      const { factor } = await findSecondFactor(trx, user, nowMs);
      if (factor !== undefined) throw new AppError("TWO_FACTOR_ENABLED");
      // A factor whose recovery is effective may still be stored.
      await completeRecovery(deps, trx, write, user, nowMs);
      await saveEnrollment(
        trx,
        user.id,
        sealTotpSecret(deps.twoFactorKeys.totpSecrets, user.id, secret),
        nowMs,
      );
      const uri = otpauthUri(user.email, secret);
      return create(EnrollTwoFactorResponseSchema, {
        secret: totpSecretText(secret),
        otpauthUri: uri,
        qrSvg: qrSvg(uri),
      });
    });
  };
}
