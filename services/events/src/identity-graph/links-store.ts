// Holds every statement about identity links: the columns `parent_id`, `root_id` and `merged_ms` of
// `profiles`.
import { bytesToUuid, chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { IN_LIST_VALUES_MAX, type Queryable, type Transaction } from "@muster/db";
import type { MergedInto } from "../profile-storage/profile.ts";

/** Maximum number of linked profiles, the root included. Bounds the union of rows that a read needs. */
export const LINKED_PROFILES_MAX = 1000;

/** Returns the root of a profile; undefined for an unknown profile. */
export async function rootOf(
  db: Queryable,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<ProfileId | undefined> {
  return (await rootsOf(db, organizationId, [profileId])).get(profileId);
}

/** Returns the root of each profile; unknown profiles are omitted. */
export async function rootsOf(
  db: Queryable,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
): Promise<Map<ProfileId, ProfileId>> {
  const roots = new Map<ProfileId, ProfileId>();
  for (const ids of chunksOf(profileIds, IN_LIST_VALUES_MAX)) {
    const rows = await db("profiles")
      .select<{ profile_id: Buffer; root_id: Buffer | null }[]>("profile_id", "root_id")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("profile_id", ids.map(uuidToBytes));
    for (const row of rows) {
      const profileId = bytesToUuid<ProfileId>(row.profile_id);
      roots.set(profileId, row.root_id === null ? profileId : bytesToUuid<ProfileId>(row.root_id));
    }
  }
  return roots;
}

/** Returns the ids of all linked profiles: the root first, the merged profiles by id. */
export async function linkedProfileIds(
  db: Queryable,
  organizationId: OrganizationId,
  rootId: ProfileId,
): Promise<ProfileId[]> {
  return [rootId, ...((await mergedIdsOf(db, organizationId, [rootId])).get(rootId) ?? [])];
}

/**
 * Returns the ids of the profiles merged into each root, ordered; roots without merged profiles are omitted.
 */
export async function mergedIdsOf(
  db: Queryable,
  organizationId: OrganizationId,
  rootIds: readonly ProfileId[],
): Promise<Map<ProfileId, ProfileId[]>> {
  const pairs: { rootId: ProfileId; profileId: ProfileId }[] = [];
  for (const ids of chunksOf(rootIds, IN_LIST_VALUES_MAX)) {
    const rows = await db("profiles")
      .select<{ root_id: Buffer; profile_id: Buffer }[]>("root_id", "profile_id")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("root_id", ids.map(uuidToBytes));
    for (const row of rows) {
      pairs.push({ rootId: bytesToUuid(row.root_id), profileId: bytesToUuid(row.profile_id) });
    }
  }
  const ids = Map.groupBy(pairs, ({ rootId }) => rootId);
  return new Map(
    Array.from(ids, ([rootId, own]) => [rootId, own.map(({ profileId }) => profileId).sort()] as const),
  );
}

/** Whether the organization has any merged profile. */
export async function hasMerged(db: Queryable, organizationId: OrganizationId): Promise<boolean> {
  const rows = await db("profiles")
    .select("shard")
    .where("organization_id", uuidToBytes(organizationId))
    .where("root_id", ">=", Buffer.alloc(16))
    .limit(1);
  return rows.length > 0;
}

/** Sets the parent and root of a profile; undefined makes the profile a root. */
export async function updateLink(
  trx: Transaction,
  organizationId: OrganizationId,
  profileId: ProfileId,
  mergedInto: MergedInto | undefined,
): Promise<void> {
  await trx("profiles")
    .where("organization_id", uuidToBytes(organizationId))
    .where("profile_id", uuidToBytes(profileId))
    .update({
      parent_id: mergedInto === undefined ? null : uuidToBytes(mergedInto.parentId),
      root_id: mergedInto === undefined ? null : uuidToBytes(mergedInto.rootId),
      merged_ms: mergedInto?.atMs ?? null,
    });
}

/** Sets `root_id` of merged profiles; their parent links do not change. */
export async function updateRoots(
  trx: Transaction,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
  rootId: ProfileId,
): Promise<void> {
  for (const ids of chunksOf([...profileIds].sort(), IN_LIST_VALUES_MAX)) {
    await trx("profiles")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("profile_id", ids.map(uuidToBytes))
      .update({ root_id: uuidToBytes(rootId) });
  }
}

/** Raises `update_ms` of a profile; a later stored time stays, because the clock may have been set back. */
export async function raiseUpdateTime(
  trx: Transaction,
  organizationId: OrganizationId,
  profileId: ProfileId,
  updateMs: number,
): Promise<void> {
  await trx("profiles")
    .where("organization_id", uuidToBytes(organizationId))
    .where("profile_id", uuidToBytes(profileId))
    .where("update_ms", "<", updateMs)
    .update({ update_ms: updateMs });
}
