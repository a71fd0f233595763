// Who stood for a person in the past: what was announced meanwhile speaks of the person under their names.
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";

/** Keys in one statement: under the size at which MariaDB turns IN lists into temporary tables. */
const LOOKUP_CHUNK = 500;

/** All profiles that the journal leads to from these, over any number of merges, undone or not; without them. */
export async function formerRootsOf(
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
