// Removes profiles that are missing in the snapshot of a rebuild, because they were merged or erased.
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

/** Profiles of a single shard that are deleted. */
export interface EndedProfiles {
  readonly over: readonly ProfileId[];
  /** The erased profiles among them; the erasure report counts their deleted rows. */
  readonly erased: readonly ProfileId[];
}

/**
 * The profile leaves every segment. The empty state keeps only the snapshot's position, so that older
 * messages are skipped.
 */
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
 * Publishes exits for profiles that only a replaced rule still counts as members. The profiles are of one
 * shard, and their states are already empty. See `tellings.ts`.
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
 * Whether the profile's row may be deleted: the message that ended the profile has been applied, or
 * everything that the snapshot contains has been. Otherwise the row stays, so that later messages up to the
 * snapshot are skipped, and the message that ended the profile deletes it.
 */
export function isOver(reason: DerivationReason, snapshot: number, folded: number): boolean {
  return reason === "merged" || reason === "erased" || snapshot <= folded;
}

/**
 * Deletes all rows of profiles of one shard, including memberships of deleted segments, because purges find
 * rows only through a profile's state. Counts the deleted rows of erased profiles.
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
