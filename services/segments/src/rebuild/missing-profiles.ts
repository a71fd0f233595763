// Removes profiles that are missing in the snapshot of a rebuild, because they were merged or erased.
import type { OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { rebuildCause } from "../announcements/cause.ts";
import type { ChangedProfile } from "../announcements/changed-profile.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { emptyState } from "../engine/state/profile-state.ts";
import { addRemovedCounts } from "../erasure/erasure-store.ts";
import { locations } from "../erasure/locations.ts";
import { deleteMemberships } from "../memberships/membership-store.ts";
import type { RebuildReason } from "../profiles/rebuild-reason.ts";
import { deleteStates, type StoredProfile } from "../profiles/state-store.ts";
import { listEvaluationIds } from "../segment-model/segment-store.ts";

/** Profiles of a single shard that are deleted. */
export interface EndedProfiles {
  readonly ended: readonly ProfileId[];
  /** The erased profiles among them; the erasure report counts their deleted rows. */
  readonly erased: readonly ProfileId[];
}

/**
 * The profile leaves every segment. The empty state keeps only the snapshot's position, so that older
 * messages are skipped.
 */
export function missingProfile(
  { organizationId, shard, profileId, state }: StoredProfile,
  definitions: Definitions,
  rebuild: { readonly asOf: number; readonly reason: RebuildReason; readonly nowMs: number },
): ChangedProfile {
  const entered = [...state.memberships].filter(([id]) => definitions.segments.has(id));
  return {
    organizationId,
    shard,
    profileId,
    nextDueMs: undefined,
    state: { ...emptyState(), asOf: rebuild.asOf },
    isStored: true,
    limitChanges: [...state.limitedEvaluations]
      .filter((id) => definitions.segments.has(id))
      .map((evaluationId) => ({ evaluationId, isLimited: false })),
    changes: entered.map(([evaluationId, enteredMs]) => ({ evaluationId, member: false, enteredMs })),
    causeOf: (change) => rebuildCause(change, new Set(), rebuild.reason, rebuild.nowMs),
  };
}

/**
 * Whether the profile's row may be deleted: the message that ended the profile has been applied, or
 * everything that the snapshot contains has been. Otherwise the row stays, so that later messages up to the
 * snapshot are skipped, and the message that ended the profile deletes it.
 */
export function hasEnded(reason: RebuildReason, snapshotPosition: number, appliedPosition: number): boolean {
  return reason === "merged" || reason === "erased" || snapshotPosition <= appliedPosition;
}

/**
 * Deletes all rows of profiles of one shard, including memberships of deleted segments, because purges find
 * rows only through a profile's state. Counts the deleted rows of erased profiles.
 */
export async function deleteProfiles(
  trx: Transaction,
  organizationId: OrganizationId,
  shard: number,
  { ended, erased }: EndedProfiles,
): Promise<void> {
  if (ended.length === 0) return;
  const evaluationIds = await listEvaluationIds(trx, organizationId, shard);
  const deleteRows = async (profileIds: readonly ProfileId[]) => ({
    [locations.memberships]: await deleteMemberships(trx, organizationId, evaluationIds, profileIds),
    [locations.states]: await deleteStates(trx, organizationId, shard, profileIds),
  });
  for (const profileId of erased) {
    await addRemovedCounts(trx, { organizationId, shard, profileId }, await deleteRows([profileId]));
  }
  await deleteRows(ended.filter((profileId) => !erased.includes(profileId)));
}
