// What becomes of a profile that is to be derived anew and is not in the snapshot: it was merged or erased.
import type { OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { DerivationReason } from "../backfills/derivation-reason.ts";
import { listTellings } from "../backfills/purge-store.ts";
import type { Announcer } from "../changes/announcer.ts";
import { derivedCause } from "../changes/cause.ts";
import { differencesOf } from "../changes/tellings.ts";
import type { Definitions } from "../engine/definitions.ts";
import { emptyState } from "../engine/profile-state.ts";
import { addPlaces } from "../erasure/erasure-store.ts";
import { places } from "../erasure/places.ts";
import { deleteMemberships } from "../memberships/membership-store.ts";
import { deleteStates, type StoredProfile } from "../profiles/state-store.ts";
import type { TouchedProfile } from "../profiles/touched-profile.ts";
import { listEvaluationIds } from "../segments/segment-store.ts";

/** Profiles of one shard of which nothing is to be kept, and which of them because they were erased. */
export interface EndedProfiles {
  readonly over: readonly ProfileId[];
  readonly erased: readonly ProfileId[];
}

/** It is in nothing any more, and says nothing but up to where its messages are answered for. */
export function absentProfile(
  { organizationId, shard, profileId, state }: StoredProfile,
  definitions: Definitions,
  derived: { readonly asOf: number; readonly reason: DerivationReason; readonly nowMs: number },
): TouchedProfile {
  const entered = [...state.memberships].filter(([id]) => definitions.segments.has(id));
  return {
    ...{ organizationId, shard, profileId, nextDueMs: undefined },
    state: { ...emptyState(), asOf: derived.asOf },
    isStored: true,
    changes: entered.map(([segmentId, enteredMs]) => ({ segmentId, member: false, enteredMs })),
    causeOf: (change) => derivedCause(change, new Set(), derived.reason, derived.nowMs),
  };
}

/**
 * Of these profiles of one shard, whose states are empty now, tells those to have left who were in by a replaced
 * rule alone: see tellings.
 */
export async function tellAbsent(
  trx: Transaction,
  announcer: Announcer,
  profiles: readonly TouchedProfile[],
  nowMs: number,
): Promise<void> {
  const [first] = profiles;
  if (first === undefined) return;
  for (const purge of await listTellings(trx, first.organizationId, first.shard)) {
    const { changes } = await differencesOf(trx, purge, profiles, nowMs);
    const caused = changes.map((change) => {
      const profile = profiles.find(({ profileId }) => profileId === change.profileId);
      return profile === undefined ? change : { ...change, cause: profile.causeOf(change) };
    });
    await announcer.announceChanges(trx, caused);
  }
}

/**
 * Whether nothing of the profile is yet to be folded, so that its row may go: the message that ended it has
 * come, or all that the snapshot holds. Else the row stays, so that what is still on its way to it is skipped,
 * and goes when that message comes.
 */
export function isOver(reason: DerivationReason, snapshot: number, folded: number): boolean {
  return reason === "merged" || reason === "erased" || snapshot <= folded;
}

/**
 * Removes all rows of these profiles of one shard, those of segments that they left included: purges find the
 * rows of a profile by its state. Counts those of the erased ones.
 */
export async function forgetProfiles(
  trx: Transaction,
  organizationId: OrganizationId,
  shard: number,
  { over, erased }: EndedProfiles,
): Promise<void> {
  if (over.length === 0) return;
  const evaluationIds = await listEvaluationIds(trx, organizationId, shard);
  const forget = async (profileIds: readonly ProfileId[]) => ({
    [places.memberships]: await deleteMemberships(trx, organizationId, evaluationIds, profileIds),
    [places.states]: await deleteStates(trx, organizationId, shard, profileIds),
  });
  for (const profileId of erased) {
    await addPlaces(trx, { organizationId, shard, profileId }, await forget([profileId]));
  }
  await forget(over.filter((profileId) => !erased.includes(profileId)));
}
