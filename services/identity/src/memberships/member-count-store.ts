// Counts the members of an organization, in the row of the organization.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { MembershipStatus } from "./membership.ts";

/** Invited people are no members yet. */
export async function countMember(
  trx: Transaction,
  organizationId: OrganizationId,
  before: MembershipStatus | undefined,
  after: MembershipStatus | undefined,
): Promise<void> {
  const change = Number(isMember(after)) - Number(isMember(before));
  if (change === 0) return;
  await trx("organizations").where("id", uuidToBytes(organizationId)).increment("member_count", change);
}

function isMember(status: MembershipStatus | undefined): boolean {
  return status === "active" || status === "suspended";
}
