// Compares one profile's memberships from four sources: raw events, facts, state and lists of members. All
// inputs are parameters, including the instant.
import { assert, type EvaluationId, type ProfileId, type SegmentId } from "@muster/core";
import { EvaluationContext, evaluateAt } from "../engine/evaluation/evaluate.ts";
import { isMemberByRawEvents } from "../engine/reference/reference-evaluator.ts";
import { ruleReadsEventsBefore } from "../engine/rule/lookback.ts";
import { hasCompleteHistory } from "../engine/state/merge-retained-facts.ts";
import { emptyState, viewOf } from "../engine/state/profile-state.ts";
import { ALL_EVALUATIONS } from "../rebuild/backfill-store.ts";
import type { LaterMessages, RawProfile } from "./raw-profiles.ts";
import type { StoredSnapshot } from "./stored-snapshot.ts";

/** One membership on which the four sources disagree. */
export interface Mismatch {
  readonly segmentId: SegmentId;
  readonly slug: string;
  readonly evaluatedMs: number;
  readonly byEvents: boolean;
  readonly byFacts: boolean;
  readonly byState: boolean;
  readonly byMembers: boolean;
}

/** The result for one profile; all fields count memberships. */
export interface Comparison {
  readonly memberships: number;
  /** Memberships that rest on capped facts, which may differ from the raw events. */
  readonly capped: number;
  /** Memberships that keep their last value, because a predicate exceeded its budget. */
  readonly limited: number;
  /** Memberships that rest on events which retention has removed. */
  readonly beyondRetention: number;
  readonly mismatches: readonly Mismatch[];
}

export const NOTHING_TO_COMPARE: Comparison = {
  memberships: 0,
  capped: 0,
  limited: 0,
  beyondRetention: 0,
  mismatches: [],
};

/** Undefined while the profile is changing, because the sources are at different positions. */
export function compareProfile(
  profileId: ProfileId,
  raw: RawProfile,
  snapshot: StoredSnapshot,
  later: LaterMessages,
  nowMs: number,
): Comparison | undefined {
  const stored = snapshot.states.get(profileId);
  // A rebuilt row contains its whole snapshot, which may be ahead of the applied position.
  const includedThrough = Math.max(snapshot.appliedPosition, stored?.state.asOf ?? 0);
  const isDue = (stored?.nextDueMs ?? Number.POSITIVE_INFINITY) <= nowMs;
  const isChanged = (later.profiles.get(profileId) ?? 0) > includedThrough;
  const backfilling = backfillingOf(profileId, snapshot);
  const isAwaitingRebuild = stored?.state.isAwaitingRebuild === true;
  if (
    isDue ||
    isChanged ||
    isAwaitingRebuild ||
    snapshot.awaitingRebuild.has(profileId) ||
    backfilling.has(ALL_EVALUATIONS)
  )
    return undefined;
  const events = raw.events.filter(({ id }) => (later.events.get(id) ?? 0) <= includedThrough);
  const state = stored?.state ?? emptyState();
  const ruleOf = (id: string) => snapshot.rules.get(id as EvaluationId);
  const evaluationContext = new EvaluationContext(viewOf(state, ruleOf), nowMs);
  const referenceContext = { createMs: raw.createMs, traits: raw.traits, ruleOf };
  const mismatches: Mismatch[] = [];
  let memberships = 0;
  let capped = 0;
  let limited = 0;
  let beyondRetention = 0;
  const hasAllEvents = hasCompleteHistory(raw.createMs, raw.completeSinceMs);
  for (const [id, rule] of snapshot.rules) {
    if (backfilling.has(id)) continue;
    const byState = state.memberships.has(id);
    const byMembers = snapshot.memberships.get(profileId)?.has(id) ?? false;
    memberships += 1;
    let results = { byEvents: byState, byFacts: byState, byState, byMembers };
    // Neither events nor facts decide a limited membership.
    if (state.limitedEvaluations.has(id)) limited += 1;
    else {
      const { member: byFacts, isExact } = evaluateAt(rule, evaluationContext);
      if (!isExact) capped += 1;
      const isProvable = hasAllEvents || !ruleReadsEventsBefore(rule, raw.completeSinceMs, nowMs, ruleOf);
      if (!isProvable) beyondRetention += 1;
      const isComparable = isExact && isProvable;
      const byEvents = isComparable ? isMemberByRawEvents(rule, events, nowMs, referenceContext) : byFacts;
      results = { byEvents, byFacts, byState, byMembers };
    }
    if (new Set(Object.values(results)).size === 1) continue;
    const segment = snapshot.names.get(id);
    assert(segment !== undefined, "an evaluation belongs to a segment");
    mismatches.push({ ...segment, evaluatedMs: nowMs, ...results });
  }
  return { memberships, capped, limited, beyondRetention, mismatches };
}

/** Rules whose backfill has not reached the profile. */
function backfillingOf(profileId: ProfileId, { backfills }: StoredSnapshot): Set<EvaluationId> {
  const unfinished = backfills.filter(({ afterProfileId }) => afterProfileId < profileId);
  return new Set(unfinished.map(({ evaluationId }) => evaluationId));
}
