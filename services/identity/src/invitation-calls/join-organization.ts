// Makes an invited person a member, by the token of the mail.

import { mayGrantOrTake, permissionsOf, type Role, rankRoleOfKey } from "@muster/authz";
import type { ApiKeyId, OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import { isValidAt } from "../api-keys/api-key.ts";
import { findApiKey } from "../api-keys/api-key-store.ts";
import { type Invitation, isPending } from "../invitations/invitation.ts";
import {
  deleteInvitationOf,
  findInvitationByToken,
  lockInvitation,
} from "../invitations/invitation-store.ts";
import { INVITE_PERMISSION, mayInvite } from "../invitations/void-invitations.ts";
import type { Membership } from "../memberships/membership.ts";
import { insertMembership, lockMembership, saveMembership } from "../memberships/membership-store.ts";
import { deleteInvitedMember, removeInvitedMember } from "../memberships/remove-invited-member.ts";
import { lockOrganization } from "../organizations/organization-store.ts";
import type { User } from "../users/user.ts";
import { userJoined } from "../users/user-events.ts";

export type JoinRefusal = "TOKEN_INVALID" | "INVITATION_ADDRESS_MISMATCH" | "USER_EXISTS";

/**
 * Finds the invitation of a token and locks its organization. Called before the user is locked, because
 * organizations are locked first everywhere.
 */
export async function lockOrganizationOfInvitation(
  trx: Transaction,
  tokenHash: Buffer,
): Promise<Invitation | undefined> {
  const invitation = await findInvitationByToken(trx, tokenHash);
  if (invitation === undefined) return undefined;
  await lockOrganization(trx, invitation.organizationId);
  return invitation;
}

/** Resolves to the new membership, or to why there is none. `user` is locked and has verified the address. */
export async function joinOrganization(
  trx: Transaction,
  write: Pick<Write, "publish">,
  found: Invitation,
  user: User,
  nowMs: number,
): Promise<Membership | JoinRefusal> {
  const { organizationId, id } = found;
  const invited = await lockMembership(trx, organizationId, found.userId);
  // Read again, because another call may have used, replaced or voided the invitation before the lock.
  const invitation = await lockInvitation(trx, organizationId, id);
  if (invitation === undefined || invited?.status !== "invited") return "TOKEN_INVALID";
  if (!invitation.tokenHash.equals(found.tokenHash) || !isPending(invitation, nowMs)) return "TOKEN_INVALID";
  if (invitation.emailKey !== user.emailKey) return "INVITATION_ADDRESS_MISMATCH";
  if (!(await holdsRight(trx, invitation, invited.role, nowMs))) return "TOKEN_INVALID";
  if (invited.userId !== user.id && !(await makeRoom(trx, organizationId, user.id))) return "USER_EXISTS";
  const joined: Membership = {
    ...invited,
    userId: user.id,
    name: invited.name === "" ? user.name : invited.name,
    status: "active",
    invitedEmail: undefined,
    version: invited.version + 1,
    updateTimeMs: nowMs,
  };
  if (invited.userId === joined.userId) {
    await deleteInvitationOf(trx, organizationId, invited.userId);
    await saveMembership(trx, invited, joined);
  } else {
    // The account of the address differs from the person who was invited: the address has moved meanwhile.
    await removeInvitedMember(trx, write, invited, nowMs);
    await insertMembership(trx, joined);
  }
  write.publish(userJoined({ organizationId, userId: user.id }, joined.role, nowMs));
  return joined;
}

/** False for a person who has joined already. An invitation of the person by an earlier address ends. */
async function makeRoom(trx: Transaction, organizationId: OrganizationId, userId: UserId): Promise<boolean> {
  const own = await lockMembership(trx, organizationId, userId);
  if (own === undefined) return true;
  if (own.status !== "invited") return false;
  // Publishes no removal, because the person stays a member.
  await deleteInvitedMember(trx, own);
  return true;
}

/** Whether the inviter may still invite to the role. */
async function holdsRight(
  trx: Transaction,
  { organizationId, inviter }: Invitation,
  role: Role,
  nowMs: number,
): Promise<boolean> {
  if (inviter.kind === "partner") return true;
  if (inviter.kind === "user") {
    const member = await lockMembership(trx, organizationId, inviter.id as UserId);
    return member?.status === "active" && mayInvite(member.role, role);
  }
  const key = await findApiKey(trx, organizationId, inviter.id as ApiKeyId);
  if (key === undefined || !isValidAt(key, nowMs)) return false;
  return (
    permissionsOf(key.scopes).has(INVITE_PERMISSION) && mayGrantOrTake(rankRoleOfKey(key.grantUpTo), role)
  );
}
