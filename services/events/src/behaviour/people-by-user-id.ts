// Walks people by the bytes of their user ids: each person once, under the id that their profile shows.
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { hasMerged, mergedIdsOf } from "../people/links-store.ts";
import { getPeople } from "../people/people.ts";
import { profileOf } from "../people/person.ts";
import { getProfiles } from "../profiles/profile-store.ts";
import { listUsers, type User } from "./user-store.ts";

export interface NamedPerson {
  readonly userId: string;
  /** All that are this person. */
  readonly profileIds: readonly ProfileId[];
}

const noneMerged: ReadonlyMap<ProfileId, readonly ProfileId[]> = new Map();

/** The people among the next `limit` user ids. `lastUserId` is the last one looked at, undefined at the end. */
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
  // Where nobody was ever merged, which one look tells.
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
 * Which user id the people show of whom a merged profile has one. A profile that stands for its person shows its
 * own, so nobody else needs a look.
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
