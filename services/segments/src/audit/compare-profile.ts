// One profile's memberships, four ways: by its raw events, by its facts, by its state, by the lists of
// members. All that it looks at is given, the instant too.
import type { ProfileId, SegmentId } from "@muster/core";
import { ALL_SEGMENTS } from "../backfills/backfill-store.ts";
import { isMemberByRawEvents } from "../engine/brute-force.ts";
import { evaluateAt, Moment } from "../engine/evaluate.ts";
import { isRemembered } from "../engine/keep-facts.ts";
import { emptyState, viewOf } from "../engine/profile-state.ts";
import { ruleReachesBehind } from "../engine/reach.ts";
import type { KeptProfiles } from "./audit-store.ts";
import type { LaterMessages, RawProfile } from "./raw-profiles.ts";

export interface Mismatch {
  readonly segmentId: SegmentId;
  readonly slug: string;
  readonly evaluatedMs: number;
  readonly byEvents: boolean;
  readonly byFacts: boolean;
  readonly byState: boolean;
  readonly byMembers: boolean;
}

export interface Comparison {
  readonly memberships: number;
  /** Of these, how many rest on facts that were cut at their caps: the events need not agree. */
  readonly capped: number;
  /** Of these, how many rest on what happened before the raw events that retention has left. */
  readonly beyondRetention: number;
  readonly mismatches: readonly Mismatch[];
}

export const NOTHING_TO_COMPARE: Comparison = {
  ...{ memberships: 0, capped: 0, beyondRetention: 0, mismatches: [] },
};

/** Undefined when the profile is being changed, so that there is nothing firm to compare. */
export function compareProfile(
  profileId: ProfileId,
  raw: RawProfile,
  kept: KeptProfiles,
  later: LaterMessages,
  nowMs: number,
): Comparison | undefined {
  const stored = kept.states.get(profileId);
  // A derived row holds what its snapshot held, which may be more than is folded.
  const heldThrough = Math.max(kept.folded, stored?.state.asOf ?? 0);
  const isDue = (stored?.nextDueMs ?? Number.POSITIVE_INFINITY) <= nowMs;
  const isChanged = (later.profiles.get(profileId) ?? 0) > heldThrough;
  const backfilling = backfillingOf(profileId, kept);
  const isFrozen = stored?.state.isFrozen === true;
  if (isDue || isChanged || isFrozen || kept.deriving.has(profileId) || backfilling.has(ALL_SEGMENTS))
    return undefined;
  const events = raw.events.filter(({ id }) => (later.events.get(id) ?? 0) <= heldThrough);
  const state = stored?.state ?? emptyState();
  const ruleOf = (id: string) => kept.rules.get(id as SegmentId);
  const moment = new Moment(viewOf(state, ruleOf), nowMs);
  const surroundings = { createMs: raw.createMs, traits: raw.traits, ruleOf };
  const mismatches: Mismatch[] = [];
  let memberships = 0;
  let capped = 0;
  let beyondRetention = 0;
  const isRemembering = isRemembered(raw.createMs, raw.completeSinceMs);
  for (const [id, rule] of kept.rules) {
    if (backfilling.has(id)) continue;
    const { member: byFacts, isExact } = evaluateAt(rule, moment);
    memberships += 1;
    if (!isExact) capped += 1;
    const isProvable = isRemembering || !ruleReachesBehind(rule, raw.completeSinceMs, nowMs, ruleOf);
    if (!isProvable) beyondRetention += 1;
    const answers = {
      byEvents: isExact && isProvable ? isMemberByRawEvents(rule, events, nowMs, surroundings) : byFacts,
      byFacts,
      byState: state.memberships.has(id),
      byMembers: kept.memberships.get(profileId)?.has(id) ?? false,
    };
    if (new Set(Object.values(answers)).size === 1) continue;
    const { segmentId, slug } = kept.names.get(id) ?? { segmentId: id, slug: "" };
    mismatches.push({ segmentId, slug, evaluatedMs: nowMs, ...answers });
  }
  return { memberships, capped, beyondRetention, mismatches };
}

/** Rules whose past is not yet counted for this profile. */
function backfillingOf(profileId: ProfileId, { backfills }: KeptProfiles): Set<SegmentId> {
  const unfinished = backfills.filter(({ afterProfileId }) => afterProfileId < profileId);
  return new Set(unfinished.map(({ segmentId }) => segmentId));
}
