// What people's events have earned: each event's price of today, summed exactly. Pure.
import type { ProfileId } from "@muster/core";
import type { EventType } from "../catalogue/event-type.ts";

export interface EventCount {
  readonly profileId: ProfileId;
  readonly name: string;
  readonly count: number;
}

/** Millionths of points by profile; profiles without an event of the types are left out. */
export function earnedByProfile(
  counts: readonly EventCount[],
  types: ReadonlyMap<string, EventType>,
): Map<ProfileId, bigint> {
  const earned = new Map<ProfileId, bigint>();
  for (const { profileId, name, count } of counts) {
    const price = BigInt(types.get(name)?.priceMillionths ?? 0);
    earned.set(profileId, (earned.get(profileId) ?? 0n) + price * BigInt(count));
  }
  return earned;
}

/** Of all profiles of one person; undefined where none of them has such an event. */
export function earnedTogether(
  profileIds: readonly ProfileId[],
  earned: ReadonlyMap<ProfileId, bigint>,
): bigint | undefined {
  const parts = profileIds.map((id) => earned.get(id)).filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.reduce((sum, part) => sum + part, 0n);
}
