// Identifies and orders profiles. Pure.
import type { OrganizationId, ProfileId } from "@muster/core";

/** Sorts before every profile. */
export const NO_PROFILE = "00000000-0000-0000-0000-000000000000" as ProfileId;
/** Sorts after every profile. */
export const LAST_PROFILE = "ffffffff-ffff-ffff-ffff-ffffffffffff" as ProfileId;

/** The key of a profile's rows. The shard follows from the two ids. */
export interface ProfileKey {
  readonly organizationId: OrganizationId;
  readonly shard: number;
  readonly profileId: ProfileId;
}

/** The key alone, without further fields. */
export function keyOf({ organizationId, shard, profileId }: ProfileKey): ProfileKey {
  return { organizationId, shard, profileId };
}

/** The order of the primary keys. */
export function compareProfileKeys(a: ProfileKey, b: ProfileKey): number {
  if (a.organizationId !== b.organizationId) return a.organizationId < b.organizationId ? -1 : 1;
  if (a.shard !== b.shard) return a.shard - b.shard;
  if (a.profileId === b.profileId) return 0;
  return a.profileId < b.profileId ? -1 : 1;
}

/** Unique across organizations. */
export function profileKeyText(organizationId: OrganizationId, profileId: ProfileId): string {
  return `${organizationId}/${profileId}`;
}
