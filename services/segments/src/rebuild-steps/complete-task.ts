// Completes the tasks of written chunks: advances backfills, and deletes the marks of rebuilt profiles.
import type { ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { LAST_PROFILE } from "../profiles/profile-key.ts";
import { addProfileRebuilds, deleteProfileRebuilds } from "../profiles/rebuild-store.ts";
import { listStateIds } from "../profiles/state-store.ts";
import { ALL_EVALUATIONS, advanceBackfills, type Backfill } from "../rebuild/backfill-store.ts";
import type { RebuildTask } from "../rebuild/rebuild-planner.ts";
import type { ScannedShard } from "../rebuild/replace-states.ts";
import type { ScannedStates } from "../rebuild/scan-states.ts";

/**
 * Advances the backfills of a written chunk, or deletes the marks of rebuilt profiles.
 *
 * Invariant: a backfill may skip a profile that was created behind its cursor. That profile is not in the
 * chunk's snapshot, so all its events arrive in later messages, and those are applied with the new segment.
 * The scan finds a profile that was created ahead of the cursor: its state is replaced, and `asOf` skips the
 * messages that the snapshot already contains. A merge or an undo marks the profiles concerned for a rebuild.
 */
export async function completeTask(
  trx: Transaction,
  { task, states, more, isScanned }: ScannedShard,
): Promise<void> {
  if ("ids" in task.profiles) {
    await deleteProfileRebuilds(trx, task.organizationId, task.shard, task.profiles.ids);
    return;
  }
  const last = [...states.keys()].sort().at(-1);
  const advanced = task.backfills.filter((backfill) => isCovered(backfill, task.profiles, { more, last }));
  const isAll = advanced.some(({ evaluationId }) => evaluationId === ALL_EVALUATIONS);
  if (isAll && isScanned) await markMissingProfiles(trx, task, states, more ? last : undefined);
  await advanceBackfills(trx, advanced, more ? last : states.size > 0 ? LAST_PROFILE : undefined);
}

/**
 * Marks profiles that have a stored state but are missing in the snapshot, so that the next step reads them
 * by id. An unreadable message of the shard may have ended such a profile.
 */
async function markMissingProfiles(
  trx: Transaction,
  { organizationId, shard, profiles }: RebuildTask,
  states: ScannedStates["states"],
  last: ProfileId | undefined,
): Promise<void> {
  if ("ids" in profiles) return;
  const storedIds = await listStateIds(trx, organizationId, shard, profiles.after, last);
  const missing = storedIds.filter((profileId) => !states.has(profileId));
  await addProfileRebuilds(
    trx,
    missing.map((profileId) => ({ organizationId, shard, profileId })),
  );
}

/**
 * Whether this chunk completes a backfill. Only an empty chunk does, so the organization lock is held
 * briefly.
 */
export function isLastChunk({ task, more, states }: ScannedShard): boolean {
  return !more && states.size === 0 && !("ids" in task.profiles);
}

/** Whether the chunk advances the backfill: it starts at or before the cursor and ends after it. */
function isCovered(
  { afterProfileId }: Backfill,
  profiles: RebuildTask["profiles"],
  chunk: { readonly more: boolean; readonly last: ProfileId | undefined },
): boolean {
  if ("ids" in profiles || profiles.after > afterProfileId) return false;
  return !chunk.more || (chunk.last !== undefined && afterProfileId <= chunk.last);
}
