// Invites a person to the caller's organization: as a member with the status "invited", and by mail.
import type { OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { Write } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { type Invitation, inviterOf, isPending } from "../invitations/invitation.ts";
import { findInvitationByEmail } from "../invitations/invitation-store.ts";
import type { Membership } from "../memberships/membership.ts";
import { lockMembership } from "../memberships/membership-store.ts";
import { lockInvitedMember, removeInvitedMember } from "../memberships/remove-invited-member.ts";
import { lockOrganization } from "../organizations/organization-store.ts";
import { keyWithoutAddress, newPlaceholder, type User } from "../users/user.ts";
import { insertUser, insertUserIfAbsent, lockUserByEmail } from "../users/user-store.ts";
import { requireGrantable } from "./grantable.ts";
import type { RequestedInvitation } from "./requested-invitation.ts";
import { storeInvitation } from "./store-invitation.ts";

export interface Invited {
  readonly invitation: Invitation;
  readonly membership: Membership;
}

interface InvitedAddress {
  readonly organizationId: OrganizationId;
  readonly email: string;
  readonly emailKey: string;
  readonly nowMs: number;
}

/** Locks the organization, then the person, the membership and the invitation. */
export async function invitePerson(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  context: Pick<CallContext, "organizationId" | "principal">,
  requested: RequestedInvitation,
): Promise<Invited> {
  const { organizationId, principal } = context;
  const { email, emailKey, name, role } = requested;
  const nowMs = deps.clock.nowMs();
  const organization = await lockOrganization(trx, organizationId);
  if (organization === undefined) throw new AppError("ORGANIZATION_NOT_FOUND");
  await requireGrantable(trx, context, role);
  await removeExpired(trx, write, { organizationId, emailKey, nowMs });
  const userId = await invitedPersonOf(deps, trx, { organizationId, email, emailKey, nowMs });
  const membership: Membership = {
    organizationId,
    userId,
    name,
    role,
    status: "invited",
    invitedEmail: email,
    lastLoginTimeMs: undefined,
    loginCount: 0,
    version: 1,
    createTimeMs: nowMs,
    updateTimeMs: nowMs,
  };
  const invitation = await storeInvitation(deps, trx, write, {
    membership,
    email,
    emailKey,
    inviter: inviterOf(principal),
    organizationName: organization.name,
    nowMs,
  });
  write.afterCommit(() => deps.mailer.wake());
  return { invitation, membership };
}

/** ALREADY_INVITED for a pending invitation of the address; an expired one makes room. */
async function removeExpired(
  trx: Transaction,
  write: Pick<Write, "publish">,
  { organizationId, emailKey, nowMs }: Omit<InvitedAddress, "email">,
): Promise<void> {
  const earlier = await findInvitationByEmail(trx, organizationId, emailKey);
  if (earlier === undefined) return;
  if (isPending(earlier, nowMs)) throw new AppError("ALREADY_INVITED");
  const member = await lockInvitedMember(trx, earlier);
  if (member !== undefined) await removeInvitedMember(trx, write, member, nowMs);
}

/** The statements are the same whether or not the address has an account. USER_EXISTS for a member. */
async function invitedPersonOf(
  { ids }: IdentityDeps,
  trx: Transaction,
  { organizationId, email, emailKey, nowMs }: InvitedAddress,
): Promise<UserId> {
  await insertUserIfAbsent(trx, newPlaceholder(ids.next<UserId>(nowMs), email, emailKey, nowMs));
  const user = (await lockUserByEmail(trx, emailKey)) as User;
  const member = await lockMembership(trx, organizationId, user.id);
  if (member === undefined) return user.id;
  if (member.status !== "invited") throw new AppError("USER_EXISTS");
  // The account of the address is invited by an earlier address. A different id keeps the two apart.
  const id = ids.next<UserId>(nowMs);
  await insertUser(trx, newPlaceholder(id, "", keyWithoutAddress(id), nowMs));
  return id;
}
