// Finds merge targets: profiles into which a profile was merged in the past. Messages published during the
// merge name the merge target.
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";

/** Keys in one statement, below the size at which MariaDB converts IN lists to temporary tables. */
const LOOKUP_CHUNK = 500;

/**
 * Follows the merge journal over any number of merges, including undone merges. Returns the merge targets
 * without the given profiles.
 */
export async function listMergeTargets(
  db: Queryable,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
): Promise<ProfileId[]> {
  const reached = new Set(profileIds);
  let next: ProfileId[] = [...profileIds];
  while (next.length > 0) {
    const found: ProfileId[] = [];
    for (let start = 0; start < next.length; start += LOOKUP_CHUNK) {
      const rows: { into_profile_id: Buffer }[] = await db("profile_merges")
        .select("into_profile_id")
        .where("organization_id", uuidToBytes(organizationId))
        .whereIn("profile_id", next.slice(start, start + LOOKUP_CHUNK).map(uuidToBytes));
      for (const row of rows) found.push(bytesToUuid<ProfileId>(row.into_profile_id));
    }
    next = [...new Set(found)].filter((id) => !reached.has(id));
    for (const id of next) reached.add(id);
  }
  return [...reached].slice(profileIds.length).sort();
}
