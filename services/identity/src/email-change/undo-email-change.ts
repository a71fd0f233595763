// UndoEmailChange: restores the previous address, and locks out whoever changed it.
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  UndoEmailChangeResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { canonicalEmail } from "@muster/core";
import type { Transaction } from "@muster/db";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { deleteKnownDevices } from "../login/known-device-store.ts";
import { claimAddress } from "../memberships/release-address.ts";
import { deleteOneTimeTokens, type OneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { redeemToken } from "../one-time-tokens/redeem-token.ts";
import { queueResetMail } from "../passwords/reset-mail.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import { removeSecondFactor } from "../two-factor/second-factor.ts";
import { findTotpFactor } from "../two-factor/totp-factor-store.ts";
import type { User } from "../users/user.ts";
import { saveUser } from "../users/user-store.ts";

export function undoEmailChange(
  deps: IdentityDeps,
): UnaryHandler<typeof AccountService.method.undoEmailChange> {
  return (request, context) => {
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { token, user } = await redeemToken(trx, "undo_email", request.token, nowMs);
      const restored = await restore(trx, user, token, nowMs);
      // The tokens of later changes too: they would give the account back.
      await deleteOneTimeTokens(trx, user.id);
      await deleteKnownDevices(trx, user.id);
      await removeLaterFactor(trx, user, Number(token.details.request_time_ms));
      const activity = { userId: user.id, timeMs: nowMs, client: context.client };
      await insertActivity(trx, deps, { ...activity, kind: "email_change_undone" });
      await queueResetMail(deps, trx, restored, nowMs);
      write.afterCommit(() => deps.mailer.wake());
      await endSessionsOf(deps, trx, write, { userId: user.id });
      return create(UndoEmailChangeResponseSchema);
    });
  };
}

async function restore(
  trx: Transaction,
  user: User,
  { details }: OneTimeToken,
  nowMs: number,
): Promise<User> {
  const { email = user.email } = details;
  const emailKey = canonicalEmail(email);
  await claimAddress(trx, user, emailKey, nowMs);
  const restored: User = {
    ...user,
    email,
    emailKey,
    isPasswordResetRequired: true,
    securityVersion: user.securityVersion + 1,
    updateTimeMs: nowMs,
  };
  await saveUser(trx, restored);
  return restored;
}

/** A factor that was added since the change keeps the owner out. */
async function removeLaterFactor(trx: Transaction, user: User, changeTimeMs: number): Promise<void> {
  const factor = await findTotpFactor(trx, user.id);
  if (factor === undefined || (factor.confirmTimeMs ?? factor.createTimeMs) < changeTimeMs) return;
  await removeSecondFactor(trx, user);
}
