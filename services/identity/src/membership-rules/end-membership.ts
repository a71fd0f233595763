// Ends a membership, with the sessions of the organization.
import type { ApiKeyId, OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import { forgetMaker } from "../api-keys/api-key-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { voidInvitationsOf } from "../invitations/void-invitations.ts";
import type { Membership } from "../memberships/membership.ts";
import { deleteMembership, lockMembership } from "../memberships/membership-store.ts";
import { deleteInvitedMember } from "../memberships/remove-invited-member.ts";
import { deleteRemovedMembership, saveRemovedMembership } from "../memberships/removed-membership-store.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import { memberChanged } from "../users/user-events.ts";
import { requireRemainingOwner } from "./last-owner.ts";
import { notifyMember } from "./notify-member.ts";

/**
 * "removed": a restore is possible. "left": by the person. "erased": with the data or the account of the person. "closed":
 * with the organization.
 */
export type EndReason = "removed" | "left" | "erased" | "closed";

export interface EndOfMembership {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
  readonly reason: EndReason;
  readonly nowMs: number;
  /** Credentials that end in the same transaction. */
  readonly endedKeys?: readonly ApiKeyId[];
}

/**
 * Resolves to the ended membership; undefined without a membership. LAST_OWNER for the last active owner,
 * unless the organization closes. The caller has locked the organization, and calls this last in the transaction, because
 * ends of sessions are counted.
 */
export async function endMembership(
  deps: Pick<IdentityDeps, "bus" | "clock" | "mailer">,
  trx: Transaction,
  write: Write,
  { organizationId, userId, reason, nowMs, endedKeys }: EndOfMembership,
): Promise<Membership | undefined> {
  const membership = await lockMembership(trx, organizationId, userId);
  if (membership !== undefined) {
    if (reason !== "closed") await requireDispensable(trx, membership);
    if (membership.status === "invited") await deleteInvitedMember(trx, membership);
    else await deleteMembership(trx, membership);
    await voidInvitationsOf(trx, organizationId, userId);
    await publishEnd(deps, trx, write, membership, { reason, nowMs });
  }
  // Nobody restores a person who has left, also not from an earlier removal.
  if (reason === "removed" && membership !== undefined) {
    // An invitation cannot be restored.
    if (membership.status !== "invited") await saveRemovedMembership(trx, membership, nowMs);
  } else await deleteRemovedMembership(trx, organizationId, userId);
  if (reason === "erased") await forgetMaker(trx, userId, organizationId);
  await endSessionsOf(deps, trx, write, { userId, organizationId }, endedKeys);
  return membership;
}

/** LAST_OWNER for the last active owner. The caller has locked the organization. */
export async function requireDispensable(
  trx: Transaction,
  { organizationId, userId, role, status }: Membership,
): Promise<void> {
  if (role === "owner" && status === "active") await requireRemainingOwner(trx, organizationId, userId);
}

async function publishEnd(
  deps: Pick<IdentityDeps, "mailer">,
  trx: Transaction,
  write: Write,
  membership: Membership,
  { reason, nowMs }: Pick<EndOfMembership, "reason" | "nowMs">,
): Promise<void> {
  // An organization that closes publishes its own end, not the end of each membership.
  if (reason === "closed") return;
  write.publish(memberChanged(reason === "left" ? "left" : "deleted", membership, nowMs));
  if (reason !== "erased") {
    await notifyMember(deps, trx, write, membership, { kind: "membership_ended", nowMs });
  }
}
