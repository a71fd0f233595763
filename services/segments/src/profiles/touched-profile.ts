// A profile whose facts or answers have just moved, and the one way all that is written.
import type { Transaction } from "@muster/db";
import type { ProfileKey } from "../backfills/backfill-store.ts";
import type { MembershipChange } from "../engine/membership.ts";
import { isEmptyState } from "../engine/profile-state.ts";
import { saveMemberships } from "../memberships/membership-store.ts";
import { type StoredProfile, saveStates } from "./state-store.ts";

export interface TouchedProfile extends StoredProfile {
  /** A row is there already. */
  readonly isStored: boolean;
  readonly changes: readonly MembershipChange[];
}

/**
 * Writes states, memberships and counts. The profiles are sorted and differ.
 * Invariant: runs in the transaction that also fences the shard's owner, so facts, memberships and
 * counts move together or not at all.
 */
export async function saveTouched(
  trx: Transaction,
  profiles: readonly TouchedProfile[],
  nowMs: number,
): Promise<void> {
  await saveStates(
    trx,
    profiles.filter(({ isStored, state }) => isStored || !isEmptyState(state)),
  );
  const changes = profiles.flatMap(({ organizationId, shard, profileId, changes }) =>
    changes.map((change) => ({ organizationId, shard, profileId, ...change, changedMs: nowMs })),
  );
  if (changes.length > 0) await saveMemberships(trx, changes);
}

export function keyOf({ organizationId, shard, profileId }: ProfileKey): ProfileKey {
  return { organizationId, shard, profileId };
}
