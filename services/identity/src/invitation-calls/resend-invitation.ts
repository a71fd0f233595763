// ResendInvitation: sends the mail of an invitation again, with a new link. The caller becomes the inviter.
import { create } from "@bufbuild/protobuf";
import {
  type InvitationService,
  ResendInvitationResponseSchema,
} from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { INVITATION_LIFETIME_MS, type Invitation, inviterOf } from "../invitations/invitation.ts";
import { saveInvitation } from "../invitations/invitation-store.ts";
import { newMailToken } from "../one-time-tokens/mail-token.ts";
import { queueInvitationMail } from "./invitation-mail.ts";
import { invitationToProto } from "./invitation-proto.ts";
import { lockInvited } from "./lock-invited.ts";

export function resendInvitation(
  deps: IdentityDeps,
): UnaryHandler<typeof InvitationService.method.resendInvitation> {
  return ({ invitationId }, context) => {
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { organization, invitation, membership } = await lockInvited(trx, context, invitationId);
      const token = newMailToken();
      const { name } = membership;
      const isQueued = await queueInvitationMail(deps, trx, {
        invitation,
        token,
        name,
        organizationName: organization.name,
      });
      const renewed: Invitation = {
        ...invitation,
        inviter: inviterOf(context.principal),
        // Without a new mail, the link of the earlier mail must continue to work.
        tokenHash: isQueued ? token.hash : invitation.tokenHash,
        expireTimeMs: nowMs + INVITATION_LIFETIME_MS,
      };
      await saveInvitation(trx, renewed);
      write.afterCommit(() => deps.mailer.wake());
      return create(ResendInvitationResponseSchema, { invitation: invitationToProto(renewed, membership) });
    });
  };
}
