// Merges the retained facts of a profile into its rebuilt state when retention has removed raw events. Facts
// that were updated while those events existed know more than the remaining events. Pure.
import type { AnyFacts } from "../facts/any-facts.ts";
import type { CountFacts, EventInstant } from "../facts/count-facts.ts";
import type { DaysSpec, FactSpec, ValuesSpec } from "../facts/fact-spec.ts";
import { advanceHeld, type HeldFacts, type HeldOutcome } from "../facts/held-facts.ts";
import { type Advance, outcomeOf } from "../facts/ordered-facts.ts";
import {
  advanceSequence,
  type SequenceFacts,
  type SequenceOutcome,
  type SequencePlan,
} from "../facts/sequence-facts.ts";
import type { Tally } from "../facts/value-facts.ts";
import type { Definitions, TrackedFact } from "./definitions.ts";
import type { ProfileState } from "./profile-state.ts";

export interface RetainedFacts {
  /** The raw events are complete from this instant on. */
  readonly completeSinceMs: number;
  readonly nowMs: number;
  /**
   * The stored state, updated up to the snapshot of the raw events. Undefined when the profile's identity has
   * changed.
   */
  readonly kept: ProfileState | undefined;
  /** The keys of the facts whose remaining raw events were read; undefined means every fact. */
  readonly factKeys: ReadonlySet<string> | undefined;
  /** Any of the retained facts may lack an event that the raw events contain. */
  readonly isStale: boolean;
  /** Whether the fact was kept before. A new fact reflects only the remaining raw events. */
  wasTracked(fact: TrackedFact): boolean;
}

/** Clocks of two replicas may differ by this much, so an event may seem older than its profile. */
const CLOCK_MARGIN_MS = 60_000;
const DAY_MS = 86_400_000;

/** Whether no event of the profile can be missing: the profile was created after the last removed event. */
export function hasCompleteHistory(createMs: number | undefined, completeSinceMs: number): boolean {
  return completeSinceMs <= 0 || (createMs !== undefined && createMs - CLOCK_MARGIN_MS >= completeSinceMs);
}

/**
 * From when on the profile's fact is complete; 0 means from the beginning. `horizonMs` is the fact's horizon in
 * the organization, or 0. Invariant: without an instant of its own, a fact has the horizon, whether it is stored
 * or not, because the first event after a backfill creates the fact without an instant.
 */
export function completeSinceOf(state: ProfileState, factKey: string, horizonMs: number): number {
  const ownMs = state.completeSince.get(factKey);
  if (ownMs !== undefined) return ownMs;
  return hasCompleteHistory(state.createMs, horizonMs) ? 0 : horizonMs;
}

/** Adds to `fresh`, which reflects the remaining raw events, what only the retained facts know. */
export function mergeRetainedFacts(
  fresh: ProfileState,
  definitions: Definitions,
  retained: RetainedFacts,
): void {
  const { completeSinceMs, nowMs, kept, isStale, factKeys } = retained;
  if (hasCompleteHistory(fresh.createMs, completeSinceMs)) return;
  for (const fact of definitions.facts) {
    const { spec } = fact;
    const { key } = spec;
    if (factKeys?.has(key) === false) continue;
    if (spec.kind === "values" || spec.kind === "days") {
      // Only moving windows read these facts, and a window reaches no further back than the raw events. A
      // longer window is complete only after events of its full length have been kept.
      if (nowMs - keptMs(spec) < completeSinceMs) fresh.completeSince.set(key, completeSinceMs);
      continue;
    }
    const found = fresh.facts.get(key);
    if (kept === undefined) fresh.completeSince.set(key, completeSinceMs);
    else if (!retained.wasTracked(fact)) {
      // Events counted since the rule exists may be fewer than the remaining raw events, and must never be
      // more.
      const counted = spec.kind === "count" || spec.kind === "tally" ? kept.facts.get(key) : undefined;
      const merged = mergeFacts(spec, counted, found, false);
      if (merged === undefined) continue;
      fresh.facts.set(key, merged);
      fresh.completeSince.set(key, completeSinceMs);
    } else {
      const isComplete = !isStale && !kept.incompleteFacts.has(key) && !kept.unknownKeys.has(key);
      const merged = mergeFacts(spec, kept.facts.get(key), found, isComplete);
      if (merged !== undefined) fresh.facts.set(key, merged);
      const since = isComplete ? kept.completeSince.get(key) : completeSinceMs;
      if (since !== undefined) fresh.completeSince.set(key, since);
    }
  }
}

function keptMs(spec: ValuesSpec | DaysSpec): number {
  return spec.kind === "values" ? spec.keepMs : spec.days * DAY_MS;
}

/** `isComplete`: the retained facts contain every event, so the raw events can only add instants. */
function mergeFacts(
  spec: FactSpec,
  kept: AnyFacts | undefined,
  found: AnyFacts | undefined,
  isComplete: boolean,
): AnyFacts | undefined {
  if (kept === undefined || found === undefined) return kept ?? found;
  if (spec.kind === "count" && kept.kind === "count" && found.kind === "count") {
    return mergeCounts(kept, found, spec.depth);
  }
  if (kept.kind === "tally" && found.kind === "tally") return largerTally(kept, found);
  if (kept.kind === "held" && found.kind === "held") return isComplete ? kept : mergeHeld(kept, found);
  if (spec.kind === "sequence" && kept.kind === "sequence" && found.kind === "sequence") {
    return mergeSequences(kept, found, spec.plan, isComplete);
  }
  return found;
}

/** Invariant: the total never falls below a total that was counted before. */
function mergeCounts(kept: CountFacts, found: CountFacts, depth: number): CountFacts {
  const newest = mergeNewest(kept.newest, found.newest).slice(0, depth);
  return {
    kind: "count",
    total: Math.max(kept.total, found.total, newest.length),
    first: earlierOf(kept.first, found.first),
    newest,
  };
}

/** Equal numbers are indistinguishable, so the larger tally wins. */
function largerTally(kept: Tally, found: Tally): Tally {
  return kept.count >= found.count ? kept : found;
}

/** The latest B of both decides, then the first A after that B. */
function mergeHeld(kept: HeldFacts, found: HeldFacts): HeldFacts {
  const [one, other] = [outcomeOf(kept, advanceHeld), outcomeOf(found, advanceHeld)];
  const thenNotLastMs = latest(one.thenNotLastMs, other.thenNotLastMs);
  const isAfter = (since: EventInstant | undefined): EventInstant | undefined =>
    since === undefined || thenNotLastMs === undefined || since[0] > thenNotLastMs ? since : undefined;
  const merged: HeldOutcome = {
    lastMs: latest(one.lastMs, other.lastMs),
    thenNotLastMs,
    since: earlierOf(isAfter(one.since), isAfter(other.since)),
  };
  if (merged.since?.[0] === other.since?.[0] && thenNotLastMs === other.thenNotLastMs) return found;
  // After a merge, earlier events have no known position in the order.
  const ends = [kept.baseMs, found.baseMs, kept.recent.at(-1)?.[0], found.recent.at(-1)?.[0]];
  return { kind: "held", base: merged, baseMs: ends.reduce(latest), recent: [] };
}

/**
 * A chain that can still be completed, or that a moving window reads, lies within the remaining raw events.
 * Only a chain completed for ever may be older.
 */
function mergeSequences(
  kept: SequenceFacts,
  found: SequenceFacts,
  plan: SequencePlan,
  isComplete: boolean,
): SequenceFacts {
  if (!plan.isForEver) return found;
  if (isComplete) return kept;
  const advance: Advance<SequenceOutcome> = (outcome, instant, matcherBits) =>
    advanceSequence(outcome, instant, matcherBits, plan);
  const completed = outcomeOf(found, advance).completed ?? outcomeOf(kept, advance).completed;
  return completed === undefined ? found : { ...found, base: { ...found.base, completed } };
}

/** Merges two lists, newest first, without duplicates. */
function mergeNewest(a: readonly EventInstant[], b: readonly EventInstant[]): EventInstant[] {
  const byId = new Map([...a, ...b].map((instant) => [`${instant[0]}/${instant[1]}`, instant]));
  return [...byId.values()].sort((one, other) => compareInstants(other, one));
}

function earlierOf(a: EventInstant | undefined, b: EventInstant | undefined): EventInstant | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareInstants(a, b) <= 0 ? a : b;
}

function compareInstants(a: EventInstant, b: EventInstant): number {
  return a[0] - b[0] || (a[1] < b[1] ? -1 : a[1] > b[1] ? 1 : 0);
}

function latest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.max(a, b);
}
