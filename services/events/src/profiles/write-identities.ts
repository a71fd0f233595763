// Writes that claim identities: whoever loses a race for one is told which it was.
import type { Database, Transaction } from "@muster/db";
import { isUniqueViolation } from "@muster/db";
import { AppError } from "@muster/errors";
import type { Identity, Profile } from "./profile.ts";
import { identitiesTaken } from "./profile-proto.ts";
import { findOwner } from "./profile-store.ts";

const ATTEMPTS_MAX = 4;

/**
 * Runs `body`, and again when another transaction took an identity meanwhile: the next run finds it
 * taken and says so.
 */
export async function claimingTransaction<T>(
  database: Database,
  body: (trx: Transaction) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await database.transaction(body);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      if (attempt === ATTEMPTS_MAX) throw new AppError("UNAVAILABLE", { cause: error, retryAfterMs: 1000 });
    }
  }
}

/** Throws PROFILE_IDENTITY_TAKEN naming each of `wanted` that another profile has. */
export async function refuseTaken(
  trx: Transaction,
  profile: Profile,
  wanted: readonly Identity[],
  fieldPrefix = "",
): Promise<void> {
  const taken: Identity[] = [];
  for (const identity of wanted) {
    const owner = await findOwner(trx, profile.organizationId, identity);
    if (owner !== undefined && owner !== profile.id) taken.push(identity);
  }
  if (taken.length > 0) throw identitiesTaken(taken, fieldPrefix);
}
