// CancelTwoFactorRecovery: cancels a scheduled removal, by any session of the user or by the token of the notice
// mail.
import { create } from "@bufbuild/protobuf";
import {
  type CancelTwoFactorRecoveryRequest,
  CancelTwoFactorRecoveryResponseSchema,
  type TwoFactorService,
} from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { CallContext, UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { deleteOneTimeTokens } from "../one-time-tokens/one-time-token-store.ts";
import { redeemToken } from "../one-time-tokens/redeem-token.ts";
import { lockCaller } from "../two-factor/lock-caller.ts";
import { notifyOwner } from "../two-factor/notify-owner.ts";
import { deleteRecovery } from "../two-factor/recovery-store.ts";
import { findSecondFactor } from "../two-factor/second-factor.ts";
import type { User } from "../users/user.ts";

export function cancelTwoFactorRecovery(
  deps: IdentityDeps,
): UnaryHandler<typeof TwoFactorService.method.cancelTwoFactorRecovery> {
  return async (request, context) => {
    const nowMs = await deps.database.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await lockOwner(trx, request, context, nowMs);
      const { recoveryTimeMs } = await findSecondFactor(trx, user, nowMs);
      // A link that was mailed, but not used yet, would schedule the removal again.
      await deleteOneTimeTokens(trx, user.id, "recover");
      await deleteOneTimeTokens(trx, user.id, "cancel_recovery");
      if (recoveryTimeMs !== undefined) {
        await deleteRecovery(trx, user.id);
        const { client } = context;
        await notifyOwner(deps, trx, write, { user, kind: "recovery_canceled", client, nowMs });
      }
      return create(CancelTwoFactorRecoveryResponseSchema);
    });
  };
}

/** The token decides, so that the link of a mail works whoever is signed in. */
async function lockOwner(
  trx: Transaction,
  { token }: CancelTwoFactorRecoveryRequest,
  { principal }: CallContext,
  nowMs: number,
): Promise<User> {
  if (token !== undefined) return (await redeemToken(trx, "cancel_recovery", token, nowMs)).user;
  if (principal.kind !== "user") throw new AppError("UNAUTHENTICATED");
  return lockCaller(trx, principal);
}
