// Replaces the stored states of one shard's profiles by scanned ones, and finds profiles that no longer
// exist.

import type { EvaluationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { rebuildCause } from "../announcements/cause.ts";
import type { ChangedProfile } from "../announcements/changed-profile.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { evaluateAll } from "../engine/state/membership.ts";
import { emptyState, type ProfileState } from "../engine/state/profile-state.ts";
import { profileKeyText } from "../profiles/profile-key.ts";
import type { RebuildReason } from "../profiles/rebuild-reason.ts";
import { addProfileRebuilds, type ProfileRebuild, readRebuildReasons } from "../profiles/rebuild-store.ts";
import { loadStates } from "../profiles/state-store.ts";
import type { TransactionSlices } from "../transaction-slices.ts";
import { listBackfillsOfShards } from "./backfill-store.ts";
import { saveFactHorizons } from "./fact-horizon-store.ts";
import { type EndedProfiles, hasEnded, missingProfile } from "./missing-profiles.ts";
import type { RebuildTask } from "./rebuild-planner.ts";
import { isBackfilled, retainKnownFacts, type UnappliedMessages } from "./retained-facts.ts";
import type { ScannedStates } from "./scan-states.ts";

/** The result of scanning one chunk of a shard. */
export interface ScannedShard extends ScannedStates {
  readonly task: RebuildTask;
  /** The shard's applied position at the time of the scan. */
  readonly appliedPosition: number;
  readonly scannedMs: number;
  /** Read only to keep stored facts. */
  readonly unapplied: UnappliedMessages | undefined;
}

export interface ReplacedStates extends EndedProfiles {
  readonly changed: readonly ChangedProfile[];
  /** Profiles that the snapshot does not contain. */
  readonly missing: readonly ChangedProfile[];
}

/**
 * Computes the new states. Backfills are read in the transaction, because a segment may have come since
 * planning.
 */
export async function replaceStates(
  trx: Transaction,
  scanned: ScannedShard,
  definitions: Definitions,
  { nowMs, slices }: { readonly nowMs: number; readonly slices: TransactionSlices },
): Promise<ReplacedStates> {
  const { task, states, position, isScanned, appliedPosition, unapplied } = scanned;
  const { organizationId, shard, profiles } = task;
  const backfills = await listBackfillsOfShards(trx, organizationId, [shard]);
  const backfilled = new Set(backfills.map(({ evaluationId }) => evaluationId));
  const requestedIds = "ids" in profiles ? profiles.ids : [];
  const reasons = await readRebuildReasons(trx, organizationId, shard, requestedIds);
  const reasonOf = (id: ProfileId): RebuildReason => reasons.get(id) ?? "stale";
  const profileIds = [...new Set([...states.keys(), ...requestedIds])].sort();
  const keys = profileIds.map((profileId) => ({ organizationId, shard, profileId }));
  const stored = await loadStates(trx, keys);
  const changed: ChangedProfile[] = [];
  const missing: ChangedProfile[] = [];
  const ended: ProfileId[] = [];
  const unread: ProfileRebuild[] = [];
  for (const key of keys) {
    if (slices.isOver()) await slices.turn();
    const { profileId } = key;
    const reason = reasonOf(profileId);
    const before = stored.get(profileKeyText(organizationId, profileId));
    const found = states.get(profileId);
    if (found === undefined) {
      const isGone = hasEnded(reason, position, appliedPosition);
      if (isGone) ended.push(profileId);
      // If no rule reads anything, there was no scan, and the profile may exist.
      if (!isGone && !isScanned) continue;
      const known = before ?? { ...key, state: emptyState(), nextDueMs: undefined };
      missing.push(missingProfile(known, definitions, { asOf: isScanned ? position : 0, reason, nowMs }));
      continue;
    }
    if (scanned.factKeys !== undefined && before?.state.isAwaitingRebuild === true) {
      // The stored facts are of another identity: a rebuild reads all events.
      unread.push({ ...key, reason: "identity_changed" });
      continue;
    }
    // Cloned, because a deadlock runs this function again.
    const state: ProfileState = {
      ...structuredClone(found),
      memberships: before?.state.memberships ?? new Map(),
      limitedEvaluations: before?.state.limitedEvaluations ?? new Set(),
    };
    if (unapplied !== undefined) {
      const known = { profileId, before: before?.state, reason: reasons.get(profileId), backfills };
      retainKnownFacts(state, definitions, { ...scanned, ...known, unapplied });
    }
    changed.push({
      ...key,
      state,
      isStored: before !== undefined,
      ...evaluateAll(state, definitions, nowMs),
      causeOf: (change) => rebuildCause(change, backfilled, reason, nowMs),
    });
  }
  await addProfileRebuilds(trx, unread);
  await saveHorizons(trx, scanned, definitions, backfilled);
  return { changed, missing, ended, erased: ended.filter((id) => reasonOf(id) === "erased") };
}

/** Stores from when on facts are complete that are new since retention removed raw events. */
async function saveHorizons(
  trx: Transaction,
  { task, states, completeSinceMs, factKeys }: ScannedShard,
  definitions: Definitions,
  unfinished: ReadonlySet<EvaluationId>,
): Promise<void> {
  if (completeSinceMs === 0 || states.size === 0 || "ids" in task.profiles) return;
  const added = [...definitions.facts].filter((fact) => !isBackfilled(fact, unfinished));
  const keys = added.map(({ spec }) => spec.key).filter((key) => factKeys?.has(key) ?? true);
  if (keys.length > 0) await saveFactHorizons(trx, task.organizationId, keys, completeSinceMs);
}
