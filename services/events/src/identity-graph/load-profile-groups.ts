// Loads profile groups by the id of any linked profile, and locks groups for a change.
import { chunksOf, type OrganizationId, type ProfileId } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import type { StoredProfile } from "../profile-storage/profile.ts";
import { getProfile, listMerged, lockProfiles } from "../profile-storage/profile-store.ts";
import { IdentityConflict } from "./identity-transaction.ts";
import { hasMerged, rootsOf } from "./links-store.ts";
import type { ProfileGroup } from "./profile-group.ts";

/** Maximum number of roots whose merged profiles are read at once, because a root may have many. */
const ROOTS_AT_ONCE = 100;

/** Returns the group of a profile; undefined for an unknown profile. */
export async function getProfileGroup(
  db: Queryable,
  organizationId: OrganizationId,
  profileId: ProfileId,
): Promise<ProfileGroup | undefined> {
  let root = await getProfile(db, organizationId, profileId);
  // A merged profile needs a second read. Further reads happen only during a concurrent merge of the root.
  while (root?.mergedInto !== undefined) {
    root = await getProfile(db, organizationId, root.mergedInto.rootId);
  }
  return root && { root, merged: await listMerged(db, organizationId, [root.id]) };
}

/** Returns the groups of these roots, in the given order. */
export async function listProfileGroups(
  db: Queryable,
  organizationId: OrganizationId,
  roots: readonly StoredProfile[],
): Promise<ProfileGroup[]> {
  if (roots.length === 0 || !(await hasMerged(db, organizationId))) {
    return roots.map((root) => ({ root, merged: [] }));
  }
  const groups: ProfileGroup[] = [];
  for (const some of chunksOf(roots, ROOTS_AT_ONCE)) {
    const found = await listMerged(
      db,
      organizationId,
      some.map(({ id }) => id),
    );
    const merged = Map.groupBy(found, ({ mergedInto }) => mergedInto?.rootId);
    for (const root of some) groups.push({ root, merged: merged.get(root.id) ?? [] });
  }
  return groups;
}

/**
 * Locks the groups of the profiles and returns the groups by requested id; unknown ids are omitted. Until the
 * transaction ends no other transaction merges, separates, updates or erases the groups. Rejects with
 * IdentityConflict if a concurrent transaction changed a link before the lock. Invariant: identity links
 * change only under the locks of all affected root profiles.
 */
export async function lockProfileGroups(
  trx: Transaction,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
): Promise<Map<ProfileId, ProfileGroup>> {
  const before = await rootsOf(trx, organizationId, profileIds);
  const rootIds = [...new Set(before.values())];
  if (rootIds.length === 0) return new Map();
  const locked = await lockProfiles(trx, organizationId, rootIds);
  const roots = new Map(locked.map((root) => [root.id, root]));
  const now = await rootsOf(trx, organizationId, profileIds);
  for (const profileId of profileIds) {
    const rootId = now.get(profileId);
    if (rootId !== before.get(profileId)) throw new IdentityConflict();
    if (rootId !== undefined && roots.get(rootId)?.mergedInto !== undefined) throw new IdentityConflict();
  }
  const groups = new Map<ProfileId, ProfileGroup>();
  for (const group of await listProfileGroups(trx, organizationId, locked)) groups.set(group.root.id, group);
  return new Map(
    [...now].flatMap(([profileId, rootId]) => {
      const group = groups.get(rootId);
      return group === undefined ? [] : [[profileId, group] as const];
    }),
  );
}
