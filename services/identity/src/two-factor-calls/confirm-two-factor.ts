// ConfirmTwoFactor: enables the enrolled secret after a code of it, and returns ten backup codes.
import { create } from "@bufbuild/protobuf";
import {
  ConfirmTwoFactorResponseSchema,
  type TwoFactorService,
} from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import type { SessionId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { findSession } from "../sessions/session-store.ts";
import { replaceBackupCodes } from "../two-factor/backup-code-store.ts";
import { checkCode } from "../two-factor/check-code.ts";
import { callerOf, lockCaller } from "../two-factor/lock-caller.ts";
import { notifyOwner } from "../two-factor/notify-owner.ts";
import { refusalOf } from "../two-factor/refused-code.ts";
import { confirmTotpFactor, findTotpFactor } from "../two-factor/totp-factor-store.ts";

/** A password or code entered within this time vouches for the factor. */
const STEP_UP_MS = 10 * 60_000;

export function confirmTwoFactor(
  deps: IdentityDeps,
): UnaryHandler<typeof TwoFactorService.method.confirmTwoFactor> {
  return async (request, context) => {
    const nowMs = await deps.database.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const caller = callerOf(context);
      const user = await lockCaller(trx, caller);
      const factor = await findTotpFactor(trx, user.id);
      if (factor === undefined) throw new AppError("TWO_FACTOR_NOT_ENABLED");
      if (factor.confirmTimeMs !== undefined) throw new AppError("TWO_FACTOR_ENABLED");
      const { client } = context;
      const check = await checkCode(trx, deps.twoFactorKeys, { user, factor, typed: request.code }, nowMs);
      if (check.kind !== "accepted") {
        throw await refusalOf(deps, trx, write, { check, user, client, nowMs }, "CREDENTIALS_INVALID");
      }
      await confirmTotpFactor(trx, user.id, nowMs, await hasSteppedUp(trx, caller.sessionId, nowMs));
      const backupCodes = await replaceBackupCodes(trx, deps.twoFactorKeys.backupCodes, user.id);
      await notifyOwner(deps, trx, write, { user, kind: "two_factor_enabled", client, nowMs });
      return create(ConfirmTwoFactorResponseSchema, { backupCodes });
    });
  };
}

/** Read from the session, because the caller may be cached from before a step-up. */
async function hasSteppedUp(trx: Transaction, sessionId: SessionId, nowMs: number): Promise<boolean> {
  const session = await findSession(trx, sessionId);
  const enteredMs = session?.authenticatedTimeMs;
  return enteredMs !== undefined && nowMs - enteredMs < STEP_UP_MS;
}
