// One profile's memberships, four ways: by its raw events, by its facts, by its state, by the lists of
// members. All that it looks at is given, the instant too.
import type { ProfileId, SegmentId } from "@muster/core";
import { isMemberByRawEvents } from "../engine/brute-force.ts";
import { evaluate } from "../engine/evaluate.ts";
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
  readonly mismatches: readonly Mismatch[];
}

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
  if (isDue || isChanged || kept.deriving.has(profileId)) return undefined;
  const events = raw.events.filter(({ id }) => (later.events.get(id) ?? 0) <= heldThrough);
  const pending = new Set(
    kept.backfills
      .filter(({ afterProfileId }) => afterProfileId < profileId)
      .map(({ segmentId }) => segmentId),
  );
  if (pending.size > 0) return undefined;
  const mismatches: Mismatch[] = [];
  for (const { id: segmentId, slug, rule } of kept.segments) {
    const answers = {
      byEvents: isMemberByRawEvents(rule, events, nowMs),
      byFacts: evaluate(rule, (key) => stored?.state.facts.get(key), nowMs).member,
      byState: stored?.state.memberships.has(segmentId) ?? false,
      byMembers: kept.memberships.get(profileId)?.has(segmentId) ?? false,
    };
    if (new Set(Object.values(answers)).size === 1) continue;
    mismatches.push({ segmentId, slug, evaluatedMs: nowMs, ...answers });
  }
  return { memberships: kept.segments.length, mismatches };
}
