// Stores a new organization with a user as its owner.
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import { insertMembership } from "../memberships/membership-store.ts";
import { newOwner } from "../memberships/new-owner.ts";
import type { User } from "../users/user.ts";
import { userJoined } from "../users/user-events.ts";
import type { Organization } from "./organization.ts";
import { insertOrganization } from "./organization-store.ts";

export async function insertOwnedOrganization(
  trx: Transaction,
  write: Write,
  organization: Organization,
  owner: User,
): Promise<void> {
  const { id: organizationId, createTimeMs } = organization;
  await insertOrganization(trx, organization);
  await insertMembership(trx, newOwner(organizationId, owner, createTimeMs));
  write.publish(userJoined({ organizationId, userId: owner.id }, "owner", createTimeMs));
}
