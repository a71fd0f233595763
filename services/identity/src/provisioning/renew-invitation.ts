// Invites the owner of a provisioned organization again, after an invitation that nobody accepted in time.
import { create } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import { canonicalEmail, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { WITHOUT_CALL, type Write, writeTransaction } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import { isPending } from "../invitations/invitation.ts";
import { findInvitationByEmail } from "../invitations/invitation-store.ts";
import { lockMembership } from "../memberships/membership-store.ts";
import { listOwners } from "../memberships/owner-store.ts";
import { lockInvitedMember, removeInvitedMember } from "../memberships/remove-invited-member.ts";
import { lockOrganization } from "../organizations/organization-store.ts";
import { newPlaceholder, type User } from "../users/user.ts";
import { insertUserIfAbsent, lockUserByEmail } from "../users/user-store.ts";
import { inviteOwner } from "./insert-owner.ts";
import type { Provisioning } from "./provisioning.ts";

/** Changes nothing while the organization has an owner, or the owner has a pending invitation. */
export async function renewInvitation(deps: IdentityDeps, provisioning: Provisioning): Promise<void> {
  const { organizationId } = provisioning;
  if ((await listOwners(deps.database.reader, organizationId, undefined, 1)).length > 0) return;
  const nowMs = deps.clock.nowMs();
  await writeTransaction(deps, WITHOUT_CALL, async (trx, write) => {
    const organization = await lockOrganization(trx, organizationId);
    const owners = await listOwners(trx, organizationId, undefined, 1);
    if (organization !== undefined && owners.length === 0) {
      const id = await vacantOwner(deps, trx, write, provisioning, nowMs);
      const renewed = { ...provisioning, createTimeMs: nowMs };
      if (id !== undefined) await inviteOwner(deps, trx, write, renewed, { id, isInvited: true });
    }
    return create(EmptySchema);
  });
}

/** The person of the address, without the expired invitation. Undefined for a member, and for a pending invitation. */
async function vacantOwner(
  { ids }: IdentityDeps,
  trx: Transaction,
  write: Pick<Write, "publish">,
  { organizationId, content }: Provisioning,
  nowMs: number,
): Promise<UserId | undefined> {
  const emailKey = canonicalEmail(content.ownerEmail);
  const earlier = await findInvitationByEmail(trx, organizationId, emailKey);
  if (earlier !== undefined) {
    if (isPending(earlier, nowMs)) return undefined;
    const invited = await lockInvitedMember(trx, earlier);
    if (invited !== undefined) await removeInvitedMember(trx, write, invited, nowMs);
  }
  const placeholder = newPlaceholder(ids.next<UserId>(nowMs), content.ownerEmail, emailKey, nowMs);
  await insertUserIfAbsent(trx, placeholder);
  const user = (await lockUserByEmail(trx, emailKey)) as User;
  const member = await lockMembership(trx, organizationId, user.id);
  return member === undefined ? user.id : undefined;
}
