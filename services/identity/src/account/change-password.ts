// ChangePassword: replaces the password of the caller and ends the other sessions.
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  ChangePasswordResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { requireAcceptablePassword } from "../passwords/acceptable-password.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import { lockUser } from "../users/user-store.ts";
import { requireCurrentPassword } from "./require-current-password.ts";
import { savePassword } from "./save-password.ts";

export function changePassword(
  deps: IdentityDeps,
): UnaryHandler<typeof AccountService.method.changePassword> {
  return async (request, context) => {
    // Before the current password is checked, so that a mistake in the new one costs no guess.
    requireAcceptablePassword(request.password, "password");
    const { id: userId, sessionId } = context.user;
    const checked = await requireCurrentPassword(deps, context, request.currentPassword);
    requireAcceptablePassword(request.password, "password", checked.email);
    const passwordHash = await deps.passwords.hash(request.password);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await lockUser(trx, userId);
      // The password was changed since it was checked.
      if (user?.securityVersion !== checked.securityVersion) throw new AppError("CREDENTIALS_INVALID");
      await savePassword(deps, trx, write, { user, passwordHash, nowMs, kind: "password_changed", context });
      await endSessionsOf(deps, trx, write, { userId, exceptSessionId: sessionId });
      return create(ChangePasswordResponseSchema);
    });
  };
}
