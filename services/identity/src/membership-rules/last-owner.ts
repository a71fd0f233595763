// Keeps an active owner in every organization. Every path that ends the access of an owner, or takes the role, calls
// requireRemainingOwner.
import type { OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { hasOtherOwner } from "../memberships/membership-store.ts";
import { lockOrganization } from "../organizations/organization-store.ts";

/**
 * Locks organizations in the order of the ids, so that two transactions that lock several organizations cannot wait for
 * each other. Transactions lock organizations before users, memberships, invitations and sessions.
 */
export async function lockOrganizations(trx: Transaction, ids: readonly OrganizationId[]): Promise<void> {
  for (const id of [...new Set(ids)].sort()) await lockOrganization(trx, id);
}

/**
 * LAST_OWNER unless another user than `leavingUserId` is an active owner of the organization. The lock on the organization
 * lets a single decision at a time read the owners.
 */
export async function requireRemainingOwner(
  trx: Transaction,
  organizationId: OrganizationId,
  leavingUserId: UserId,
): Promise<void> {
  await lockOrganization(trx, organizationId);
  if (!(await hasOtherOwner(trx, organizationId, leavingUserId))) throw new AppError("LAST_OWNER");
}
