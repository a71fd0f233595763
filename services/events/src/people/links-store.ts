// Every statement about which profiles are one person: `profiles.parent_id`, `root_id`, and what follows them.
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";

/** Profiles of one person, the one that stands for them included: what a read may have to union. */
export const LINKED_PROFILES_MAX = 1000;

/** The profile that stands for the person; undefined where there is no such profile. */
export async function rootOf(
  db: Queryable,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<ProfileId | undefined> {
  const [row] = await db("profiles")
    .select<{ root_id: Buffer | null }[]>("root_id")
    .where("organization_id", uuidToBytes(organizationId))
    .where("profile_id", uuidToBytes(profileId))
    .limit(1);
  if (row === undefined) return undefined;
  return row.root_id === null ? profileId : bytesToUuid<ProfileId>(row.root_id);
}

/** All profiles of a person, the root first, the others by id. */
export async function linkedProfileIds(
  db: Queryable,
  organizationId: OrganizationId,
  rootId: ProfileId,
): Promise<ProfileId[]> {
  const rows = await db("profiles")
    .select<{ profile_id: Buffer }[]>("profile_id")
    .where("organization_id", uuidToBytes(organizationId))
    .where("root_id", uuidToBytes(rootId))
    .limit(LINKED_PROFILES_MAX);
  const merged = rows.map((row) => bytesToUuid<ProfileId>(row.profile_id));
  return [rootId, ...merged.sort()];
}
