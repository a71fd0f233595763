// Locks an invitation and its member, for a caller who may give and take the member's role.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import { parseInvitationId } from "../invitations/invitation.ts";
import { findInvitation, lockInvitation } from "../invitations/invitation-store.ts";
import { lockInvitedMember } from "../memberships/remove-invited-member.ts";
import type { Organization } from "../organizations/organization.ts";
import { lockOrganization } from "../organizations/organization-store.ts";
import { requireGrantable } from "./grantable.ts";
import type { Invited } from "./invite-person.ts";

/** Locks organization, person, membership and invitation, as everywhere. INVITATION_NOT_FOUND for an invitation of another organization. */
export async function lockInvited(
  trx: Transaction,
  context: Pick<CallContext, "organizationId" | "principal">,
  invitationId: string,
): Promise<Invited & { readonly organization: Organization }> {
  const { organizationId } = context;
  const id = parseInvitationId(invitationId);
  const organization = await lockOrganization(trx, organizationId);
  const found = await findInvitation(trx, organizationId, id);
  const membership = found && (await lockInvitedMember(trx, found));
  const invitation = membership && (await lockInvitation(trx, organizationId, id));
  if (organization === undefined || membership === undefined || invitation === undefined) {
    throw new AppError("INVITATION_NOT_FOUND");
  }
  await requireGrantable(trx, context, membership.role);
  return { organization, invitation, membership };
}
