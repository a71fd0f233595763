// Walks user ids by bytes and lists each person once, under the effective user id of the root profile.
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { hasMerged, mergedIdsOf } from "../people/links-store.ts";
import { getPeople } from "../people/people.ts";
import { profileOf } from "../people/person.ts";
import { getProfiles } from "../profiles/profile-store.ts";
import { listUsers, type User } from "./user-store.ts";

export interface NamedPerson {
  readonly userId: string;
  /** The root profile and all profiles merged into the root. */
  readonly profileIds: readonly ProfileId[];
}

const noneMerged: ReadonlyMap<ProfileId, readonly ProfileId[]> = new Map();

/** Lists the persons of the next `limit` user ids. `lastUserId` is the last id read; undefined at the end. */
export async function listPeopleByUserId(
  db: Queryable,
  organizationId: OrganizationId,
  after: string | undefined,
  limit: number,
): Promise<{ readonly people: NamedPerson[]; readonly lastUserId: string | undefined }> {
  const users = await listUsers(db, organizationId, after, limit);
  const shown = await shownUserIds(db, organizationId, users);
  const standing = users.filter(
    ({ userId, profileId, rootId }) => profileId === rootId || shown.get(rootId) === userId,
  );
  const rootIds = standing.map(({ rootId }) => rootId);
  // A single lookup detects organizations without merges.
  const isMerged = await hasMerged(db, organizationId);
  const merged = isMerged ? await mergedIdsOf(db, organizationId, rootIds) : noneMerged;
  return {
    people: standing.map(({ userId, rootId }) => ({
      userId,
      profileIds: [rootId, ...(merged.get(rootId) ?? [])],
    })),
    lastUserId: users.length < limit ? undefined : users.at(-1)?.userId,
  };
}

/**
 * Reads the effective user ids of roots with a merged profile. A root profile that is a user shows its own
 * id, so other roots need no lookup.
 */
async function shownUserIds(
  db: Queryable,
  organizationId: OrganizationId,
  users: readonly User[],
): Promise<Map<ProfileId, string | undefined>> {
  const merged = users.filter(({ profileId, rootId }) => profileId !== rootId);
  if (merged.length === 0) return new Map();
  const rootIds = [...new Set(merged.map(({ rootId }) => rootId))];
  const roots = await getProfiles(db, organizationId, rootIds.map(uuidToBytes));
  const people = await getPeople(db, organizationId, roots);
  return new Map(people.map((person) => [person.root.id, profileOf(person).userId]));
}
