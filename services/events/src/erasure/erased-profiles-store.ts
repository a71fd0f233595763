// Deletes profiles; no other statement does.
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";

/** Keys in one statement, below the size at which MariaDB converts IN lists to temporary tables. */
const DELETE_CHUNK = 500;

export async function deleteProfiles(
  trx: Transaction,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
): Promise<void> {
  const ids = [...profileIds].sort().map(uuidToBytes);
  for (let start = 0; start < ids.length; start += DELETE_CHUNK) {
    await trx("profiles")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("profile_id", ids.slice(start, start + DELETE_CHUNK))
      .delete();
  }
}
