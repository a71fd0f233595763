// Makes a user the owner of a provisioned organization; a new user is created where the address has none.
import { canonicalEmail, emailProblem, type IdSource, type OrganizationId, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { invalidField } from "@muster/errors";
import { insertMembership } from "../memberships/membership-store.ts";
import { newOwner } from "../memberships/new-owner.ts";
import type { User } from "../users/user.ts";
import { insertUser, lockUserByEmail } from "../users/user-store.ts";

export interface ProvisionedOwner {
  readonly organizationId: OrganizationId;
  readonly email: string;
  /** Absent: the user sets a password by mail, which verifies the address. */
  readonly passwordHash?: string;
}

/** Rejects with a unique violation when another transaction creates the user at the same time. */
export async function provisionOwner(
  trx: Transaction,
  ids: IdSource,
  owner: ProvisionedOwner,
  nowMs: number,
): Promise<UserId> {
  const known = await lockUserByEmail(trx, canonicalEmail(owner.email));
  const user = known ?? newUser(ids, owner, nowMs);
  if (known === undefined) await insertUser(trx, user);
  await insertMembership(trx, newOwner(owner.organizationId, user, nowMs));
  return user.id;
}

function newUser(ids: IdSource, { email, passwordHash }: ProvisionedOwner, nowMs: number): User {
  const address = email.trim();
  return {
    id: ids.next(nowMs),
    email: address,
    emailKey: canonicalEmail(address),
    isEmailVerified: passwordHash !== undefined,
    name: address.slice(0, address.lastIndexOf("@")),
    locale: undefined,
    passwordHash,
    isPasswordResetRequired: false,
    securityVersion: 1,
    lastOrganizationId: undefined,
    createTimeMs: nowMs,
    updateTimeMs: nowMs,
  };
}

/** Throws FIELD_INVALID for text that is no email address. */
export function requireOwnerEmail(email: string): void {
  const problem = emailProblem(email);
  if (problem !== undefined) throw invalidField("owner_email", problem);
}
