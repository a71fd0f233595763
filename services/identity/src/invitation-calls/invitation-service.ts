// Lists the RPCs about invitations with their handlers.
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { acceptInvitation } from "./accept-invitation.ts";
import { createInvitation } from "./create-invitation.ts";
import { deleteInvitation } from "./delete-invitation.ts";
import { listInvitations } from "./list-invitations.ts";
import { resendInvitation } from "./resend-invitation.ts";

export function invitationService(deps: IdentityDeps): ServiceImplementation {
  return implement(InvitationService, {
    createInvitation: createInvitation(deps),
    listInvitations: listInvitations(deps),
    deleteInvitation: deleteInvitation(deps),
    resendInvitation: resendInvitation(deps),
    acceptInvitation: acceptInvitation(deps),
  });
}
