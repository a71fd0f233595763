// Sums the points of event counts exactly, at the current price of each event type. Pure.
import type { ProfileId } from "@muster/core";
import type { EventType } from "../catalog/event-type.ts";

/** How many events with a name a profile has. */
export interface EventCount {
  readonly profileId: ProfileId;
  readonly name: string;
  readonly count: number;
}

/** Millionths of points by profile. Profiles without an event of these types are omitted. */
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

/** Sums the points of all profiles of a person. Undefined when no profile has such an event. */
export function totalEarned(
  profileIds: readonly ProfileId[],
  earned: ReadonlyMap<ProfileId, bigint>,
): bigint | undefined {
  const parts = profileIds.map((id) => earned.get(id)).filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.reduce((sum, part) => sum + part, 0n);
}
