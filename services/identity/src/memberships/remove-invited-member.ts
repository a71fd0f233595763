// Removes an invited member with the invitation, and the person if nothing else refers to the person.
import type { UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { deleteInvitationOf, lockExpiredInvitations } from "../invitations/invitation-store.ts";
import { isPlaceholder } from "../users/user.ts";
import { deleteUser, lockUser } from "../users/user-store.ts";
import type { Membership } from "./membership.ts";
import { deleteMembership, hasMembership, lockMembership } from "./membership-store.ts";

/** The caller has locked the organization and has checked that the member is invited. */
export async function removeInvitedMember(trx: Transaction, membership: Membership): Promise<void> {
  const { organizationId, userId } = membership;
  await deleteMembership(trx, membership);
  await deleteInvitationOf(trx, organizationId, userId);
  await deleteUnusedPlaceholder(trx, userId);
}

/** Removes at most `limit` members whose invitation expired before `beforeMs`; returns how many. */
export async function deleteExpiredInvitations(
  trx: Transaction,
  beforeMs: number,
  limit: number,
): Promise<number> {
  const expired = await lockExpiredInvitations(trx, beforeMs, limit);
  for (const { organizationId, userId } of expired) {
    const membership = await lockMembership(trx, organizationId, userId);
    if (membership !== undefined) await removeInvitedMember(trx, membership);
  }
  return expired.length;
}

/** Deletes a person without an account and without invitations. */
export async function deleteUnusedPlaceholder(trx: Transaction, userId: UserId): Promise<void> {
  const user = await lockUser(trx, userId);
  if (user === undefined || !isPlaceholder(user)) return;
  if (!(await hasMembership(trx, userId, { invited: true }))) await deleteUser(trx, userId);
}
