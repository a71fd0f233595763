// DeleteInvitation: ends an invitation and removes the invited member.
import { create } from "@bufbuild/protobuf";
import {
  DeleteInvitationResponseSchema,
  type InvitationService,
} from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { removeInvitedMember } from "../memberships/remove-invited-member.ts";
import { lockInvited } from "./lock-invited.ts";

export function deleteInvitation(
  deps: IdentityDeps,
): UnaryHandler<typeof InvitationService.method.deleteInvitation> {
  return ({ invitationId }, context) => {
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { membership } = await lockInvited(trx, context, invitationId);
      await removeInvitedMember(trx, write, membership, nowMs);
      return create(DeleteInvitationResponseSchema);
    });
  };
}
