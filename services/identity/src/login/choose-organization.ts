// Chooses the organization of a login: the organization last used in which the user is an active member.
import type { OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Membership } from "../memberships/membership.ts";
import { listActiveMemberships, lockMembership } from "../memberships/membership-store.ts";
import type { User } from "../users/user.ts";

/** The membership stays locked, so that a suspension at the same time ends the new session too. */
export async function chooseOrganization(
  trx: Transaction,
  user: Pick<User, "id" | "lastOrganizationId">,
): Promise<OrganizationId | undefined> {
  const memberships = await listActiveMemberships(trx, user.id);
  for (const { organizationId } of byLastUse(memberships, user.lastOrganizationId)) {
    const membership = await lockMembership(trx, organizationId, user.id);
    if (membership?.status === "active") return organizationId;
  }
  return undefined;
}

/** The last used organization first; organizations without a login follow in the order of joining. */
function byLastUse(
  memberships: readonly Membership[],
  lastOrganizationId: OrganizationId | undefined,
): Membership[] {
  const lastUse = ({ organizationId, lastLoginTimeMs }: Membership) =>
    organizationId === lastOrganizationId ? Number.POSITIVE_INFINITY : (lastLoginTimeMs ?? 0);
  return [...memberships].sort(
    (one, other) =>
      (lastUse(other) > lastUse(one) ? 1 : lastUse(other) < lastUse(one) ? -1 : 0) ||
      one.createTimeMs - other.createTimeMs,
  );
}
