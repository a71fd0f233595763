// CreateInvitation: invites a person to the caller's organization.
import { create } from "@bufbuild/protobuf";
import {
  CreateInvitationResponseSchema,
  type InvitationService,
} from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { invitationToProto } from "./invitation-proto.ts";
import { invitePerson } from "./invite-person.ts";
import { requestedInvitation } from "./requested-invitation.ts";

export function createInvitation(
  deps: IdentityDeps,
): UnaryHandler<typeof InvitationService.method.createInvitation> {
  return async (request, context) => {
    const requested = requestedInvitation(request);
    return writeTransaction(deps, context, async (trx, write) => {
      const { invitation, membership } = await invitePerson(deps, trx, write, context, requested);
      return create(CreateInvitationResponseSchema, {
        invitation: invitationToProto(invitation, membership),
      });
    });
  };
}
