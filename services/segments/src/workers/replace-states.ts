// Replaces the stored states of one shard's profiles by scanned ones, and finds profiles that no longer
// exist.
import type { ProfileId, SegmentId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { listBackfillsIn } from "../backfills/backfill-store.ts";
import type { DerivationReason } from "../backfills/derivation-reason.ts";
import { readDerivationReasons } from "../backfills/derivation-store.ts";
import { saveFactHorizons } from "../backfills/fact-horizon-store.ts";
import { derivedCause } from "../changes/cause.ts";
import type { Definitions } from "../engine/definitions.ts";
import { evaluateAll } from "../engine/membership.ts";
import { emptyState, type ProfileState } from "../engine/profile-state.ts";
import type { ScannedStates } from "../profiles/scan-states.ts";
import { loadStates, profileKeyText } from "../profiles/state-store.ts";
import type { TouchedProfile } from "../profiles/touched-profile.ts";
import { absentProfile, type EndedProfiles, isOver } from "./absent-profiles.ts";
import type { DerivationTask } from "./derivation-agenda.ts";
import { isCounted, keepKnown, type UnfoldedNews } from "./recollection.ts";

/** The result of scanning one chunk of a shard. */
export interface Derived extends ScannedStates {
  readonly task: DerivationTask;
  /** The shard's applied position at the time of the scan. */
  readonly folded: number;
  readonly scannedMs: number;
  /** Read only if retention has removed raw events. */
  readonly unfolded: UnfoldedNews | undefined;
}

export interface Replaced extends EndedProfiles {
  readonly touched: readonly TouchedProfile[];
  /** Profiles that the snapshot does not contain. */
  readonly absent: readonly TouchedProfile[];
}

/**
 * Computes the new states. Backfills are read in the transaction, because a segment may have come since
 * planning.
 */
export async function replaceStates(
  trx: Transaction,
  one: Derived,
  definitions: Definitions,
  nowMs: number,
): Promise<Replaced> {
  const { task, states, position, isRead, folded, unfolded } = one;
  const { organizationId, shard, profiles } = task;
  const backfills = await listBackfillsIn(trx, organizationId, [shard]);
  const backfilled = new Set(backfills.map(({ segmentId }) => segmentId));
  const asked = "ids" in profiles ? profiles.ids : [];
  const reasons = await readDerivationReasons(trx, organizationId, shard, asked);
  const reasonOf = (id: ProfileId): DerivationReason => reasons.get(id) ?? "doubt";
  const profileIds = [...new Set([...states.keys(), ...asked])].sort();
  const keys = profileIds.map((profileId) => ({ organizationId, shard, profileId }));
  const stored = await loadStates(trx, keys);
  const touched: TouchedProfile[] = [];
  const absent: TouchedProfile[] = [];
  const over: ProfileId[] = [];
  for (const key of keys) {
    const { profileId } = key;
    const reason = reasonOf(profileId);
    const before = stored.get(profileKeyText(organizationId, profileId));
    const found = states.get(profileId);
    if (found === undefined) {
      const isEnded = isOver(reason, position, folded);
      if (isEnded) over.push(profileId);
      // If no rule reads anything, there was no scan, and the profile may exist.
      if (!isEnded && !isRead) continue;
      const known = before ?? { ...key, state: emptyState(), nextDueMs: undefined };
      absent.push(absentProfile(known, definitions, { asOf: isRead ? position : 0, reason, nowMs }));
      continue;
    }
    // Cloned, because a deadlock runs this function again.
    const state: ProfileState = {
      ...structuredClone(found),
      memberships: before?.state.memberships ?? new Map(),
    };
    if (unfolded !== undefined) {
      const known = { profileId, before: before?.state, reason: reasons.get(profileId), backfills };
      keepKnown(state, definitions, { ...one, ...known, unfolded });
    }
    touched.push({
      ...{ ...key, state, isStored: before !== undefined },
      ...evaluateAll(state, definitions, nowMs),
      causeOf: (change) => derivedCause(change, backfilled, reason, nowMs),
    });
  }
  await saveHorizons(trx, one, definitions, backfilled);
  return { touched, absent, over, erased: over.filter((id) => reasonOf(id) === "erased") };
}

/** Stores from when on facts are complete that are new since retention removed raw events. */
async function saveHorizons(
  trx: Transaction,
  { task, states, completeSinceMs }: Derived,
  definitions: Definitions,
  unfinished: ReadonlySet<SegmentId>,
): Promise<void> {
  if (completeSinceMs === 0 || states.size === 0 || "ids" in task.profiles) return;
  const added = [...definitions.facts].filter((fact) => !isCounted(fact, unfinished));
  const keys = added.map(({ spec }) => spec.key);
  if (keys.length > 0) await saveFactHorizons(trx, task.organizationId, keys, completeSinceMs);
}
