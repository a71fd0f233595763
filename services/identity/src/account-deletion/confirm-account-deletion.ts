// ConfirmAccountDeletion: deletes the account, by the token of the mail.
import { create } from "@bufbuild/protobuf";
import {
  ConfirmAccountDeletionResponseSchema,
  type PrivacyService,
} from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { endMembership } from "../membership-rules/end-membership.ts";
import { lockOrganizations } from "../membership-rules/last-owner.ts";
import { listOrganizationsOf } from "../memberships/membership-store.ts";
import { findOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { redeemToken } from "../one-time-tokens/redeem-token.ts";
import type { NewOperation } from "../operations/operation.ts";
import { newOperationToProto } from "../operations/operation-proto.ts";
import { deleteRegistrations } from "../registration/registration-store.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import { deleteUserRow } from "../users/user-store.ts";
import { ACCOUNT_ERASURE_KIND } from "./account-erasure-runner.ts";
import { deleteCredentialsOf } from "./personal-rows-store.ts";

const PURPOSE = "delete_account";

export function confirmAccountDeletion(
  deps: IdentityDeps,
): UnaryHandler<typeof PrivacyService.method.confirmAccountDeletion> {
  return (request, context) => {
    const nowMs = deps.clock.nowMs();
    const id = deps.ids.next(nowMs);
    return writeTransaction(deps, context, async (trx, write) => {
      const found = await findOneTimeToken(trx, PURPOSE, request.token, nowMs);
      // Organizations are locked before the user, as in every transaction.
      if (found !== undefined) await lockOrganizations(trx, await listOrganizationsOf(trx, found.userId));
      const { user } = await redeemToken(trx, PURPOSE, request.token, nowMs);
      const operation: NewOperation = {
        id,
        kind: ACCOUNT_ERASURE_KIND,
        organizationId: undefined,
        requester: { kind: "user", id: user.id },
        permission: undefined,
        input: { user_id: user.id },
        createTimeMs: nowMs,
      };
      await deps.operations.insert(trx, operation);
      const { name, email, locale } = user;
      const values = { name, time: new Date(nowMs).toISOString() };
      await deps.mailer.queue(trx, { kind: "account_deleted", to: email, locale, values });
      await deleteCredentialsOf(trx, user.id);
      await deleteRegistrations(trx, user.emailKey);
      for (const organizationId of await listOrganizationsOf(trx, user.id)) {
        await endMembership(deps, trx, write, { organizationId, userId: user.id, reason: "erased", nowMs });
      }
      await deleteUserRow(trx, user.id);
      write.afterCommit(() => deps.mailer.wake());
      write.afterCommit(() => deps.wakeOperations());
      await endSessionsOf(deps, trx, write, { userId: user.id });
      return create(ConfirmAccountDeletionResponseSchema, { operation: newOperationToProto(operation) });
    });
  };
}
