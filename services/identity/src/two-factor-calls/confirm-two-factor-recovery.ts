// ConfirmTwoFactorRecovery: schedules the removal of a lost second factor, so late that the owner can cancel it.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  ConfirmTwoFactorRecoveryResponseSchema,
  type TwoFactorService,
} from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { issueOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { redeemToken } from "../one-time-tokens/redeem-token.ts";
import { notifyOwner } from "../two-factor/notify-owner.ts";
import { saveRecovery } from "../two-factor/recovery-store.ts";
import { findSecondFactor } from "../two-factor/second-factor.ts";

const DELAY_MS = 72 * 3_600_000;

export function confirmTwoFactorRecovery(
  deps: IdentityDeps,
): UnaryHandler<typeof TwoFactorService.method.confirmTwoFactorRecovery> {
  return async (request, context) => {
    const nowMs = await deps.database.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { user } = await redeemToken(trx, "recover", request.token, nowMs);
      const { factor, recoveryTimeMs } = await findSecondFactor(trx, user, nowMs);
      if (factor === undefined) throw new AppError("TOKEN_INVALID");
      // A second link changes no recovery that is scheduled.
      const effectiveTimeMs = recoveryTimeMs ?? nowMs + DELAY_MS;
      const response = create(ConfirmTwoFactorRecoveryResponseSchema, {
        effectiveTime: timestampFromMs(effectiveTimeMs),
      });
      if (recoveryTimeMs !== undefined) return response;
      const { id: userId, securityVersion } = user;
      await saveRecovery(trx, { userId, securityVersion, createTimeMs: nowMs, effectiveTimeMs });
      const cancelToken = await issueOneTimeToken(trx, {
        purpose: "cancel_recovery",
        userId,
        securityVersion,
        details: {},
        createTimeMs: nowMs,
        expireTimeMs: effectiveTimeMs,
      });
      await notifyOwner(deps, trx, write, {
        user,
        kind: "recovery_scheduled",
        token: cancelToken,
        timeMs: effectiveTimeMs,
        client: context.client,
        nowMs,
      });
      return response;
    });
  };
}
