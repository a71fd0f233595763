// Walks user ids by bytes and lists each person once, under the effective user id of the root profile.
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { hasMerged, mergedIdsOf } from "../identity-graph/links-store.ts";
import { listProfileGroups } from "../identity-graph/load-profile-groups.ts";
import { effectiveProfile } from "../identity-graph/profile-group.ts";
import { listTrackedUsers, type TrackedUser } from "../profile-storage/identity-store.ts";
import { getProfiles } from "../profile-storage/profile-store.ts";

/** A user with all profiles of the person. */
export interface UserProfiles {
  readonly userId: string;
  /** The root profile and all profiles merged into the root. */
  readonly profileIds: readonly ProfileId[];
}

const NO_MERGES: ReadonlyMap<ProfileId, readonly ProfileId[]> = new Map();

/** Lists the persons of the next `limit` user ids. `lastUserId` is the last id read; undefined at the end. */
export async function listProfilesByUserId(
  db: Queryable,
  organizationId: OrganizationId,
  after: string | undefined,
  limit: number,
): Promise<{ readonly users: UserProfiles[]; readonly lastUserId: string | undefined }> {
  const rows = await listTrackedUsers(db, organizationId, after, limit);
  const shownUserIds = await readShownUserIds(db, organizationId, rows);
  const listed = rows.filter(
    ({ userId, profileId, rootId }) => profileId === rootId || shownUserIds.get(rootId) === userId,
  );
  const rootIds = listed.map(({ rootId }) => rootId);
  // A single lookup detects organizations without merges.
  const isMerged = await hasMerged(db, organizationId);
  const merged = isMerged ? await mergedIdsOf(db, organizationId, rootIds) : NO_MERGES;
  return {
    users: listed.map(({ userId, rootId }) => ({
      userId,
      profileIds: [rootId, ...(merged.get(rootId) ?? [])],
    })),
    lastUserId: rows.length < limit ? undefined : rows.at(-1)?.userId,
  };
}

/**
 * Reads the effective user ids of roots with a merged profile. A root profile that is a user shows its own
 * id, so other roots need no lookup.
 */
async function readShownUserIds(
  db: Queryable,
  organizationId: OrganizationId,
  users: readonly TrackedUser[],
): Promise<Map<ProfileId, string | undefined>> {
  const merged = users.filter(({ profileId, rootId }) => profileId !== rootId);
  if (merged.length === 0) return new Map();
  const rootIds = [...new Set(merged.map(({ rootId }) => rootId))];
  const roots = await getProfiles(db, organizationId, rootIds.map(uuidToBytes));
  const groups = await listProfileGroups(db, organizationId, roots);
  return new Map(groups.map((group) => [group.root.id, effectiveProfile(group).userId]));
}
