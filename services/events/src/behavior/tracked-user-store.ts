// Walks the tracked users of an organization by the bytes of the user ids.
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { identityKindNumbers, type ProfileLink } from "../profile-storage/profile.ts";

export interface TrackedUser extends ProfileLink {
  readonly userId: string;
}

/** Lists up to `limit` users after the given user id. */
export async function listTrackedUsers(
  db: Queryable,
  organizationId: OrganizationId,
  after: string | undefined,
  limit: number,
): Promise<TrackedUser[]> {
  const query = db("profile_identities")
    .select<{ value: Buffer; profile_id: Buffer; root_id: Buffer | null }[]>("value", "profile_id", "root_id")
    .where("organization_id", uuidToBytes(organizationId))
    .where("kind", identityKindNumbers.user_id)
    .orderBy("value")
    .limit(limit);
  if (after !== undefined) query.where("value", ">", Buffer.from(after));
  return (await query).map((row) => {
    const profileId = bytesToUuid<ProfileId>(row.profile_id);
    const rootId = row.root_id === null ? profileId : bytesToUuid<ProfileId>(row.root_id);
    return { userId: row.value.toString(), profileId, rootId };
  });
}
