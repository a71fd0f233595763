// Ends the invitations of a member or an API key that has lost the right to make them.
import { mayGrantOrTake, ROLES, type Role, rolesWith } from "@muster/authz";
import type { OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { expireInvitationsOf } from "./invitation-store.ts";

export const INVITE_PERMISSION = "users.invite";

/**
 * Voids the pending invitations that a member or a key has made in the organization, for good. After a change of the
 * role, `remainingRole` is the new role: invitations that this role may make stay. The caller has locked the
 * organization.
 */
export async function voidInvitationsOf(
  trx: Transaction,
  organizationId: OrganizationId,
  inviterId: string,
  remainingRole?: Role,
): Promise<void> {
  const lostRoles = ROLES.filter((role) => !mayInvite(remainingRole, role));
  if (lostRoles.length === 0) return;
  const isEvery = lostRoles.length === ROLES.length;
  await expireInvitationsOf(trx, organizationId, inviterId, isEvery ? undefined : lostRoles);
}

/** Whether a member with the role `inviter` may invite to `role`. */
export function mayInvite(inviter: Role | undefined, role: Role): boolean {
  return (
    inviter !== undefined && rolesWith(INVITE_PERMISSION).includes(inviter) && mayGrantOrTake(inviter, role)
  );
}
