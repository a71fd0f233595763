// Rejects identities that another profile owns.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { findOwner } from "../profile-storage/identity-store.ts";
import type { Identity, Profile } from "../profile-storage/profile.ts";

/** Throws PROFILE_IDENTITY_TAKEN with every identity that another profile owns. */
export async function requireFreeIdentities(
  trx: Transaction,
  profile: Profile,
  identities: readonly Identity[],
): Promise<void> {
  const taken: Identity[] = [];
  for (const identity of identities) {
    const owner = await findOwner(trx, profile.organizationId, identity);
    if (owner !== undefined && owner.profileId !== profile.id) taken.push(identity);
  }
  if (taken.length > 0) throw identityTakenError(taken);
}

/** Returns PROFILE_IDENTITY_TAKEN with a field error per identity; `fieldPrefix` precedes the field names. */
export function identityTakenError(taken: readonly Identity[], fieldPrefix = ""): AppError {
  return new AppError("PROFILE_IDENTITY_TAKEN", {
    fields: taken.map(({ kind }) => ({
      field: `${fieldPrefix}${kind}`,
      message: "another profile has this identity",
    })),
  });
}
