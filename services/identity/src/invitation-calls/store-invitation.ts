// Stores an invitation with its membership, and queues the mail.
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import { INVITATION_LIFETIME_MS, type Invitation } from "../invitations/invitation.ts";
import { insertInvitation } from "../invitations/invitation-store.ts";
import type { Membership } from "../memberships/membership.ts";
import { insertMembership } from "../memberships/membership-store.ts";
import { newMailToken } from "../one-time-tokens/mail-token.ts";
import { userInvited } from "../users/user-events.ts";
import { queueInvitationMail } from "./invitation-mail.ts";

export interface NewInvitation extends Pick<Invitation, "email" | "emailKey" | "inviter"> {
  /** With the status "invited". */
  readonly membership: Membership;
  readonly organizationName: string;
  readonly nowMs: number;
}

/** The transaction has locked the organization and the person, or has stored them. */
export async function storeInvitation(
  deps: Pick<IdentityDeps, "ids" | "mailer">,
  trx: Transaction,
  write: Pick<Write, "publish">,
  { membership, email, emailKey, inviter, organizationName, nowMs }: NewInvitation,
): Promise<Invitation> {
  const { organizationId, userId, name, role } = membership;
  const token = newMailToken();
  const invitation: Invitation = {
    id: deps.ids.next(nowMs),
    organizationId,
    userId,
    email,
    emailKey,
    inviter,
    tokenHash: token.hash,
    createTimeMs: nowMs,
    expireTimeMs: nowMs + INVITATION_LIFETIME_MS,
  };
  await insertMembership(trx, membership);
  await insertInvitation(trx, invitation);
  await queueInvitationMail(deps, trx, { invitation, token, name, organizationName });
  write.publish(userInvited({ organizationId, userId }, role, nowMs));
  return invitation;
}
