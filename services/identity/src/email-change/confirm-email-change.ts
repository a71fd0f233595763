// ConfirmEmailChange: makes the new address the address of the account, by the token that was sent there.
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  ConfirmEmailChangeResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { canonicalEmail } from "@muster/core";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { claimAddress } from "../memberships/release-address.ts";
import { voidOneTimeTokens } from "../one-time-tokens/one-time-token-store.ts";
import { redeemToken } from "../one-time-tokens/redeem-token.ts";
import { deleteRegistrations } from "../registration/registration-store.ts";
import { saveUser } from "../users/user-store.ts";
import { issueUndoToken } from "./undo-token.ts";

export function confirmEmailChange(
  deps: IdentityDeps,
): UnaryHandler<typeof AccountService.method.confirmEmailChange> {
  return (request, context) => {
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { token, user } = await redeemToken(trx, "change_email", request.token, nowMs);
      const { email = user.email } = token.details;
      const emailKey = canonicalEmail(email);
      await claimAddress(trx, user, emailKey, nowMs);
      const securityVersion = user.securityVersion + 1;
      await saveUser(trx, { ...user, email, emailKey, securityVersion, updateTimeMs: nowMs });
      await voidOneTimeTokens(trx, user.id);
      await deleteRegistrations(trx, emailKey);
      const undo = await issueUndoToken(trx, user, { nowMs, requestTimeMs: token.createTimeMs });
      const { name, locale } = user;
      await deps.mailer.queue(trx, {
        kind: "email_changed",
        to: user.email,
        locale,
        values: { name, email, token: undo },
      });
      const activity = { userId: user.id, timeMs: nowMs, client: context.client };
      await insertActivity(trx, deps, { ...activity, kind: "email_changed" });
      write.afterCommit(() => deps.mailer.wake());
      return create(ConfirmEmailChangeResponseSchema);
    });
  };
}
