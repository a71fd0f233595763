// Runs transactions that take identities or change identity links, and retries after a lost race.
import type { Database, Transaction } from "@muster/db";
import { isUniqueViolation } from "@muster/db";
import { AppError } from "@muster/errors";

const VIOLATIONS_MAX = 4;
/** Maximum number of consecutive conflicts before a call fails with UNAVAILABLE. */
export const IDENTITY_CONFLICTS_MAX = 20;

/**
 * A concurrent transaction merged, separated or erased an affected profile. The caller rolls back and
 * retries.
 */
export class IdentityConflict extends Error {
  override name = "IdentityConflict";
}

/**
 * Runs `body` in a transaction. Runs it again if a concurrent transaction took an identity or changed a link;
 * the next run reads the new state. Throws UNAVAILABLE after too many conflicts.
 */
export async function identityTransaction<T>(
  database: Database,
  body: (trx: Transaction) => Promise<T>,
): Promise<T> {
  for (let violations = 0, conflicts = 0; ; ) {
    try {
      return await database.transaction(body);
    } catch (error) {
      if (isUniqueViolation(error)) violations += 1;
      else if (error instanceof IdentityConflict) conflicts += 1;
      else throw error;
      if (violations >= VIOLATIONS_MAX || conflicts >= IDENTITY_CONFLICTS_MAX)
        throw new AppError("UNAVAILABLE", { cause: error, retryAfterMs: 1000 });
    }
  }
}
