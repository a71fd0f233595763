// ResetPassword: sets a new password by the token of a mail. The second factor stays.
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  ResetPasswordResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { findOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { redeemToken } from "../one-time-tokens/redeem-token.ts";
import { requireAcceptablePassword } from "../passwords/acceptable-password.ts";
import { recordVerification } from "../registration/record-verification.ts";
import { deleteRegistrations } from "../registration/registration-store.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import { findUser } from "../users/user-store.ts";
import { savePassword } from "./save-password.ts";

export function resetPassword(deps: IdentityDeps): UnaryHandler<typeof AccountService.method.resetPassword> {
  return async (request, context) => {
    requireAcceptablePassword(request.password, "password");
    const nowMs = deps.clock.nowMs();
    const { reader } = deps.database;
    // Read first, so that a guess costs no hash.
    const found = await findOneTimeToken(reader, "reset_password", request.token, nowMs);
    const owner = found && (await findUser(reader, found.userId));
    if (owner === undefined || owner.securityVersion !== found?.securityVersion)
      throw new AppError("TOKEN_INVALID");
    requireAcceptablePassword(request.password, "password", owner.email);
    const passwordHash = await deps.passwords.hash(request.password);
    return writeTransaction(deps, context, async (trx, write) => {
      const { user } = await redeemToken(trx, "reset_password", request.token, nowMs);
      // A user that an operator or an invitation has created verifies the address by the link.
      const verified = { ...user, isEmailVerified: true };
      const kind = "password_reset";
      await savePassword(deps, trx, write, { user: verified, passwordHash, nowMs, kind, context });
      if (!user.isEmailVerified) {
        await deleteRegistrations(trx, user.emailKey);
        await recordVerification(deps, trx, write, { userId: user.id, client: context.client, nowMs });
      }
      await deps.loginThrottle.unlock(trx, user.emailKey);
      await endSessionsOf(deps, trx, write, { userId: user.id });
      return create(ResetPasswordResponseSchema);
    });
  };
}
