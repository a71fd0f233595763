// Saves changed profiles: states, memberships, counts and announcements, in one transaction.

import type { Transaction } from "@muster/db";
import type { LimitChange, MembershipChange } from "../engine/state/membership.ts";
import { isEmptyState } from "../engine/state/profile-state.ts";
import { saveMemberships } from "../memberships/membership-store.ts";
import { addLimitedCounts } from "../memberships/segment-count-store.ts";
import { keyOf } from "../profiles/profile-key.ts";
import { type StoredProfile, saveStates } from "../profiles/state-store.ts";
import type { Announcer } from "./announcer.ts";
import type { Cause } from "./cause.ts";

/** A profile whose facts or memberships have changed. */
export interface ChangedProfile extends StoredProfile {
  /** Whether the profile already has a row. */
  readonly isStored: boolean;
  /** Entries and exits. */
  readonly changes: readonly MembershipChange[];
  readonly limitChanges: readonly LimitChange[];
  /** Called once for each change. */
  causeOf(change: MembershipChange): Cause;
}

/**
 * The profiles are sorted and unique.
 *
 * Invariant: runs in the transaction that also checks the ownership of the shards. So facts, memberships,
 * counts and announcements change together or not at all.
 */
export async function saveChangedProfiles(
  trx: Transaction,
  profiles: readonly ChangedProfile[],
  announcer: Announcer,
  nowMs: number,
): Promise<void> {
  await saveStates(
    trx,
    profiles.filter(
      ({ isStored, nextDueMs, state }) => isStored || nextDueMs !== undefined || !isEmptyState(state),
    ),
  );
  const limitChanges = profiles.flatMap((profile) =>
    profile.limitChanges.map((change) => ({ ...keyOf(profile), ...change })),
  );
  await addLimitedCounts(trx, limitChanges);
  const changes = profiles.flatMap((profile) =>
    profile.changes.map((change) => ({
      ...keyOf(profile),
      ...change,
      changedMs: nowMs,
      cause: profile.causeOf(change),
    })),
  );
  if (changes.length === 0) return;
  await saveMemberships(trx, changes);
  await announcer.announceChanges(trx, changes);
}
