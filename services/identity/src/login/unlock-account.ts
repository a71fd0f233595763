// UnlockAccount: ends the lockout of an account by the token of the unlock mail.
import { create } from "@bufbuild/protobuf";
import {
  type SessionService,
  UnlockAccountResponseSchema,
} from "@muster/contracts/muster/identity/v1/session_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { findOneTimeToken, redeemOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { lockUser } from "../users/user-store.ts";

export function unlockAccount(deps: IdentityDeps): UnaryHandler<typeof SessionService.method.unlockAccount> {
  return ({ token: text }, context) =>
    writeTransaction(deps, context, async (trx) => {
      const nowMs = deps.clock.nowMs();
      const found = await findOneTimeToken(trx, "unlock", text, nowMs);
      // The user is locked first, as everywhere, so that no two calls wait for each other.
      const user = found && (await lockUser(trx, found.userId));
      const token = user && (await redeemOneTimeToken(trx, "unlock", text, nowMs));
      if (token === undefined || token.securityVersion !== user?.securityVersion) {
        throw new AppError("TOKEN_INVALID");
      }
      await deps.loginThrottle.unlock(trx, user.emailKey);
      const { client } = context;
      await insertActivity(trx, deps, { userId: user.id, kind: "login_unlocked", timeMs: nowMs, client });
      return create(UnlockAccountResponseSchema);
    });
}
