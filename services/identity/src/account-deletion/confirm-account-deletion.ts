// ConfirmAccountDeletion: deletes the account, by the token of the mail.
import { create } from "@bufbuild/protobuf";
import {
  ConfirmAccountDeletionResponseSchema,
  type PrivacyService,
} from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { lockOrganizations } from "../membership-rules/last-owner.ts";
import { listOrganizationsOf } from "../memberships/membership-store.ts";
import { findOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { redeemToken } from "../one-time-tokens/redeem-token.ts";
import { newOperationToProto } from "../operations/operation-proto.ts";
import { eraseAccount } from "./erase-account.ts";

const PURPOSE = "delete_account";

export function confirmAccountDeletion(
  deps: IdentityDeps,
): UnaryHandler<typeof PrivacyService.method.confirmAccountDeletion> {
  return (request, context) => {
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const found = await findOneTimeToken(trx, PURPOSE, request.token, nowMs);
      // Organizations are locked before the user, as in every transaction.
      if (found !== undefined) await lockOrganizations(trx, await listOrganizationsOf(trx, found.userId));
      const { user } = await redeemToken(trx, PURPOSE, request.token, nowMs);
      const requester = { kind: "user", id: user.id } as const;
      const operation = await eraseAccount(deps, trx, write, { user, requester, nowMs });
      return create(ConfirmAccountDeletionResponseSchema, { operation: newOperationToProto(operation) });
    });
  };
}
