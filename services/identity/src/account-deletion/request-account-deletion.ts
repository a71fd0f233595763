// RequestAccountDeletion: sends a link that deletes the account of the caller.
import { create } from "@bufbuild/protobuf";
import {
  type PrivacyService,
  RequestAccountDeletionResponseSchema,
} from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { hasOtherOwner, listActiveMemberships } from "../memberships/membership-store.ts";
import { deleteOneTimeTokens, issueOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { lockUser } from "../users/user-store.ts";

const LIFETIME_MS = 24 * 3_600_000;

export function requestAccountDeletion(
  deps: IdentityDeps,
): UnaryHandler<typeof PrivacyService.method.requestAccountDeletion> {
  return (_request, context) => {
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await lockUser(trx, context.user.id);
      if (user === undefined) throw new AppError("SESSION_ENDED");
      for (const { organizationId, role } of await listActiveMemberships(trx, user.id)) {
        const isLast = role === "owner" && !(await hasOtherOwner(trx, organizationId, user.id));
        if (isLast) throw new AppError("LAST_OWNER");
      }
      await deleteOneTimeTokens(trx, user.id, "delete_account");
      const token = await issueOneTimeToken(trx, {
        purpose: "delete_account",
        userId: user.id,
        securityVersion: user.securityVersion,
        details: {},
        createTimeMs: nowMs,
        expireTimeMs: nowMs + LIFETIME_MS,
      });
      const { name, email, locale } = user;
      const values = { name, token };
      await deps.mailer.queue(trx, { kind: "account_deletion_confirm", to: email, locale, values });
      const activity = { userId: user.id, timeMs: nowMs, client: context.client };
      await insertActivity(trx, deps, { ...activity, kind: "deletion_requested" });
      write.afterCommit(() => deps.mailer.wake());
      return create(RequestAccountDeletionResponseSchema);
    });
  };
}
