// Runs transactions that take identities or change identity links, and retries after a lost race.
import type { Database, Transaction } from "@muster/db";
import { isUniqueViolation } from "@muster/db";
import { AppError } from "@muster/errors";
import { findOwner } from "../profile-storage/identity-store.ts";
import type { Identity, Profile } from "../profile-storage/profile.ts";
import { identityTakenError } from "../profiles/profile-proto.ts";
import { IDENTITY_CONFLICTS_MAX, IdentityConflict } from "./identity-conflict.ts";

const ATTEMPTS_MAX = 4;

/**
 * Runs `body` in a transaction. Runs it again if a concurrent transaction took an identity or changed a link;
 * the next run reads the new state. Throws UNAVAILABLE after too many conflicts.
 */
export async function identityTransaction<T>(
  database: Database,
  body: (trx: Transaction) => Promise<T>,
): Promise<T> {
  for (let violations = 0, changes = 0; ; ) {
    try {
      return await database.transaction(body);
    } catch (error) {
      if (isUniqueViolation(error)) violations += 1;
      else if (error instanceof IdentityConflict) changes += 1;
      else throw error;
      if (violations >= ATTEMPTS_MAX || changes >= IDENTITY_CONFLICTS_MAX)
        throw new AppError("UNAVAILABLE", { cause: error, retryAfterMs: 1000 });
    }
  }
}

/** Throws PROFILE_IDENTITY_TAKEN with every identity that another profile owns. */
export async function requireFreeIdentities(
  trx: Transaction,
  profile: Profile,
  identities: readonly Identity[],
  fieldPrefix = "",
): Promise<void> {
  const taken: Identity[] = [];
  for (const identity of identities) {
    const owner = await findOwner(trx, profile.organizationId, identity);
    if (owner !== undefined && owner.profileId !== profile.id) taken.push(identity);
  }
  if (taken.length > 0) throw identityTakenError(taken, fieldPrefix);
}
