// Evaluates scanned states of one shard's profiles before the transaction that replaces the stored states, and finds
// profiles that no longer exist.

import type { EvaluationId, ProfileId } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { rebuildCause } from "../announcements/cause.ts";
import type { ChangedProfile } from "../announcements/changed-profile.ts";
import { applyDueEvents } from "../engine/state/apply-events.ts";
import type { Definitions } from "../engine/state/definitions.ts";
import { evaluateInSteps } from "../engine/state/membership.ts";
import { emptyState, type ProfileState } from "../engine/state/profile-state.ts";
import { encodeState } from "../engine/state/state-codec.ts";
import { type ProfileKey, profileKeyText } from "../profiles/profile-key.ts";
import type { RebuildReason } from "../profiles/rebuild-reason.ts";
import { addProfileRebuilds, type ProfileRebuild, readRebuildReasons } from "../profiles/rebuild-store.ts";
import { decodeProfile, type EncodedProfile, loadEncodedStates } from "../profiles/state-store.ts";
import type { TransactionSlices } from "../transaction-slices.ts";
import { type Backfill, listBackfillsOfShards } from "./backfill-store.ts";
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

/** The new states of a scanned shard, and the stored rows that they follow from. */
export interface ReplacedStates extends EndedProfiles {
  readonly scanned: ScannedShard;
  readonly changed: readonly ChangedProfile[];
  /** Profiles that the snapshot does not contain. */
  readonly missing: readonly ChangedProfile[];
  /** Profiles whose facts must be read as a whole. */
  readonly unread: readonly ProfileRebuild[];
  readonly basis: Basis;
}

/** Stored rows of a shard that new states depend on. */
interface Basis {
  readonly backfills: readonly Backfill[];
  readonly reasons: ReadonlyMap<ProfileId, RebuildReason>;
  /** By {@link profileKeyText}. */
  readonly profiles: ReadonlyMap<string, EncodedProfile>;
}

export interface EvaluationOptions {
  readonly nowMs: number;
  readonly slices: TransactionSlices;
}

/** Computes the new states, without writing. */
export async function evaluateScanned(
  db: Queryable,
  scanned: ScannedShard,
  definitions: Definitions,
  { nowMs, slices }: EvaluationOptions,
): Promise<ReplacedStates> {
  const { states, position, isScanned, appliedPosition, unapplied } = scanned;
  const basis = await readBasis(db, scanned);
  const { backfills, reasons } = basis;
  const backfilled = new Set(backfills.map(({ evaluationId }) => evaluationId));
  const reasonOf = (id: ProfileId): RebuildReason => reasons.get(id) ?? "stale";
  const changed: ChangedProfile[] = [];
  const missing: ChangedProfile[] = [];
  const ended: ProfileId[] = [];
  const unread: ProfileRebuild[] = [];
  for (const key of keysOf(scanned)) {
    if (slices.isOver()) await slices.turn();
    const { profileId } = key;
    const reason = reasonOf(profileId);
    const stored = basis.profiles.get(profileKeyText(key.organizationId, profileId));
    const before = stored && decodeProfile(stored);
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
    // Cloned, because the states are evaluated again if a stored row changes.
    const state: ProfileState = {
      ...structuredClone(found),
      memberships: before?.state.memberships ?? new Map(),
      limitedEvaluations: before?.state.limitedEvaluations ?? new Set(),
    };
    if (unapplied !== undefined) {
      const known = { profileId, before: before?.state, reason: reasons.get(profileId), backfills };
      retainKnownFacts(state, definitions, { ...scanned, ...known, unapplied });
    }
    applyDueEvents(state, definitions, nowMs, new Set());
    const steps = evaluateInSteps(state, definitions, definitions.segments.values(), nowMs);
    const update = await slices.run(steps);
    changed.push({
      ...key,
      state,
      encoded: encodeState(state),
      isStored: before !== undefined,
      ...update,
      causeOf: (change) => rebuildCause(change, backfilled, reason, nowMs),
    });
  }
  const erased = ended.filter((id) => reasonOf(id) === "erased");
  return { scanned, changed, missing, ended, erased, unread, basis };
}

/** Whether the stored rows are still the rows that the states were evaluated with. */
export async function isBasisCurrent(db: Queryable, { scanned, basis }: ReplacedStates): Promise<boolean> {
  const { backfills, reasons, profiles } = await readBasis(db, scanned);
  if (JSON.stringify(backfills) !== JSON.stringify(basis.backfills)) return false;
  if (reasons.size !== basis.reasons.size || profiles.size !== basis.profiles.size) return false;
  for (const [id, reason] of reasons) if (basis.reasons.get(id) !== reason) return false;
  for (const [key, { encoded, nextDueMs }] of profiles) {
    const before = basis.profiles.get(key);
    if (before?.encoded !== encoded || before.nextDueMs !== nextDueMs) return false;
  }
  return true;
}

/** Saves what a scan leaves beside the states: marks of unread profiles, and horizons of facts. */
export async function saveScanRemainder(
  trx: Transaction,
  { scanned, unread, basis }: ReplacedStates,
  definitions: Definitions,
): Promise<void> {
  await addProfileRebuilds(trx, unread);
  await saveHorizons(trx, scanned, definitions, new Set(basis.backfills.map((one) => one.evaluationId)));
}

async function readBasis(db: Queryable, scanned: ScannedShard): Promise<Basis> {
  const { organizationId, shard, profiles } = scanned.task;
  const backfills = await listBackfillsOfShards(db, organizationId, [shard]);
  const requestedIds = "ids" in profiles ? profiles.ids : [];
  const reasons = await readRebuildReasons(db, organizationId, shard, requestedIds);
  return { backfills, reasons, profiles: await loadEncodedStates(db, keysOf(scanned)) };
}

/** Scanned and requested profiles, in order of id. */
function keysOf({ task, states }: ScannedShard): ProfileKey[] {
  const { organizationId, shard, profiles } = task;
  const requestedIds = "ids" in profiles ? profiles.ids : [];
  const profileIds = [...new Set([...states.keys(), ...requestedIds])].sort();
  return profileIds.map((profileId) => ({ organizationId, shard, profileId }));
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
