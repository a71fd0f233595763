// A profile whose facts or answers have just moved, and the one way all that is written.
import type { Transaction } from "@muster/db";
import type { ProfileKey } from "../backfills/backfill-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import type { Cause } from "../changes/cause.ts";
import type { MembershipChange } from "../engine/membership.ts";
import { isEmptyState } from "../engine/profile-state.ts";
import { saveMemberships } from "../memberships/membership-store.ts";
import { type StoredProfile, saveStates } from "./state-store.ts";

export interface TouchedProfile extends StoredProfile {
  /** A row is there already. */
  readonly isStored: boolean;
  readonly changes: readonly MembershipChange[];
  /** Asked once for each change. */
  causeOf(change: MembershipChange): Cause;
}

/**
 * Writes states, memberships and counts, and announces who entered and left. The profiles are sorted and differ.
 * Invariant: runs in the transaction that also fences the shard's owner, so facts, memberships and
 * counts move together or not at all.
 */
export async function saveTouched(
  trx: Transaction,
  profiles: readonly TouchedProfile[],
  announcer: Announcer,
  nowMs: number,
): Promise<void> {
  await saveStates(
    trx,
    profiles.filter(
      ({ isStored, nextDueMs, state }) => isStored || nextDueMs !== undefined || !isEmptyState(state),
    ),
  );
  const changes = profiles.flatMap((profile) =>
    profile.changes.map((change) => ({
      ...{ ...keyOf(profile), ...change, changedMs: nowMs },
      cause: profile.causeOf(change),
    })),
  );
  if (changes.length === 0) return;
  await saveMemberships(trx, changes);
  await announcer.announceChanges(trx, changes);
}

export function keyOf({ organizationId, shard, profileId }: ProfileKey): ProfileKey {
  return { organizationId, shard, profileId };
}
