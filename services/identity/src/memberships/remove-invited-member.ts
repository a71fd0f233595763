// Removes an invited member with the invitation, and the person if nothing else refers to the person.
import type { UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { Invitation } from "../invitations/invitation.ts";
import { deleteInvitationOf } from "../invitations/invitation-store.ts";
import { isPlaceholder } from "../users/user.ts";
import { memberChanged } from "../users/user-events.ts";
import { deleteUser, lockUser } from "../users/user-store.ts";
import type { Membership } from "./membership.ts";
import { deleteMembership, hasMembership, lockMembership } from "./membership-store.ts";

/** Locks the person and then the member of an invitation. The caller has locked the organization. */
export async function lockInvitedMember(
  trx: Transaction,
  { organizationId, userId }: Invitation,
): Promise<Membership | undefined> {
  await lockUser(trx, userId);
  return lockMembership(trx, organizationId, userId);
}

/** As {@link deleteInvitedMember}, and publishes the removal. */
export async function removeInvitedMember(
  trx: Transaction,
  write: Pick<Write, "publish">,
  membership: Membership,
  nowMs: number,
): Promise<void> {
  await deleteInvitedMember(trx, membership);
  write.publish(memberChanged("deleted", membership, nowMs));
}

/** The caller has locked the organization and has checked that the member is invited. */
export async function deleteInvitedMember(trx: Transaction, membership: Membership): Promise<void> {
  const { organizationId, userId } = membership;
  await deleteMembership(trx, membership);
  await deleteInvitationOf(trx, organizationId, userId);
  await deleteUnusedPlaceholder(trx, userId);
}

/** Deletes a person without an account and without invitations. */
async function deleteUnusedPlaceholder(trx: Transaction, userId: UserId): Promise<void> {
  const user = await lockUser(trx, userId);
  if (user === undefined || !isPlaceholder(user)) return;
  if (!(await hasMembership(trx, userId, { invited: true }))) await deleteUser(trx, userId);
}
