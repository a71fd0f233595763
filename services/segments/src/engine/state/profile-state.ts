// Holds everything that is kept of one profile: facts, memberships and scheduled events.
import type { EvaluationId } from "@muster/core";
import type { ProfileView } from "../evaluation/evaluation.ts";
import type { AnyFacts } from "../facts/any-facts.ts";
import type { Definitions } from "./definitions.ts";
import type { ScheduledEvent } from "./scheduled-events.ts";

export interface ProfileState {
  /**
   * The shard position up to which the facts hold every event; messages up to this position skip the profile.
   * Invariant: one position for all matchers of the row, so that no segment mixes two points in time. 0 in a
   * row that was only updated message by message and never rebuilt.
   */
  asOf: number;
  /** By the key of the fact's spec. */
  readonly facts: Map<string, AnyFacts>;
  /** Undefined until a segment depends on the existence or the traits of profiles. */
  createMs: number | undefined;
  /** The keys of the predicates on traits that hold. */
  readonly traits: Set<string>;
  /** The segments of which the profile is a member, with the time at which Muster recorded the entry. */
  readonly memberships: Map<EvaluationId, number>;
  /** Soonest first, at most SCHEDULED_EVENTS_MAX. */
  readonly scheduledEvents: ScheduledEvent[];
  /**
   * From this instant on the row must be rebuilt from raw events: the soonest dropped scheduled event, or at
   * once after an event that arrived too late for its position. Undefined: no rebuild is due.
   */
  rebuildDueMs: number | undefined;
  /**
   * Facts that were read after retention had removed raw events, by key. The fact may lack events before the
   * instant. A fact without an entry is complete from the organization's horizon of the fact on, stored or not.
   */
  readonly completeSince: Map<string, number>;
  /**
   * The keys of facts that lack an event, because it arrived too late or was dropped from the scheduled
   * events.
   */
  readonly incompleteFacts: Set<string>;
  /**
   * The keys of facts, and of predicates on traits, that are unknown: a predicate was not evaluated on some
   * event, or on the current traits, because the work exceeded its budget. Memberships that depend on them keep
   * the last value.
   */
  readonly unknownKeys: Set<string>;
  /** The evaluations that depend on `unknownKeys`, as counted for their segments. */
  readonly limitedEvaluations: Set<EvaluationId>;
  /**
   * The identity of the profile has changed, so its facts describe other events than its own. No event is
   * applied and no change is published until the profile has been rebuilt from a snapshot that holds all
   * applied events.
   */
  isAwaitingRebuild: boolean;
}

export function emptyState(): ProfileState {
  return {
    asOf: 0,
    facts: new Map(),
    createMs: undefined,
    traits: new Set(),
    memberships: new Map(),
    scheduledEvents: [],
    rebuildDueMs: undefined,
    completeSince: new Map(),
    incompleteFacts: new Set(),
    unknownKeys: new Set(),
    limitedEvaluations: new Set(),
    isAwaitingRebuild: false,
  };
}

/** Whether the state holds nothing worth a row, unless the profile has a due time. */
export function isEmptyState(state: ProfileState): boolean {
  return (
    state.facts.size === 0 &&
    state.traits.size === 0 &&
    state.memberships.size === 0 &&
    state.scheduledEvents.length === 0 &&
    state.rebuildDueMs === undefined &&
    state.completeSince.size === 0 &&
    state.unknownKeys.size === 0 &&
    state.limitedEvaluations.size === 0 &&
    !state.isAwaitingRebuild
  );
}

/** The view over which rules are evaluated. `ruleOf` returns the rules of referenced segments. */
export function viewOf(state: ProfileState, ruleOf: ProfileView["ruleOf"]): ProfileView {
  return {
    facts: (key) => state.facts.get(key),
    trait: (key) => state.traits.has(key),
    createMs: state.createMs,
    ruleOf,
  };
}

/** Whether the state must now be rebuilt from raw events: an event was dropped or arrived too late. */
export function needsRebuild(state: ProfileState, nowMs: number): boolean {
  return state.rebuildDueMs !== undefined && state.rebuildDueMs <= nowMs;
}

/** Drops everything that no segment reads any more. Returns whether anything was dropped. */
export function prune(state: ProfileState, definitions: Definitions): boolean {
  let pruned = false;
  for (const id of state.memberships.keys()) {
    if (!definitions.segments.has(id)) pruned = state.memberships.delete(id) || pruned;
  }
  for (const key of state.facts.keys()) {
    if (definitions.fact(key) === undefined) pruned = state.facts.delete(key) || pruned;
  }
  for (const key of state.completeSince.keys()) {
    if (definitions.fact(key) === undefined) pruned = state.completeSince.delete(key) || pruned;
  }
  const known = new Set(definitions.traits.map(({ key }) => key));
  for (const key of state.traits) {
    if (!known.has(key)) pruned = state.traits.delete(key) || pruned;
  }
  for (const key of state.unknownKeys) {
    if (definitions.fact(key) === undefined && !known.has(key))
      pruned = state.unknownKeys.delete(key) || pruned;
  }
  for (const id of state.limitedEvaluations) {
    if (!definitions.segments.has(id)) pruned = state.limitedEvaluations.delete(id) || pruned;
  }
  const kept = state.scheduledEvents.filter(({ matcherKeys }) =>
    matcherKeys.some((key) => definitions.tracked(key) !== undefined),
  );
  if (kept.length < state.scheduledEvents.length) {
    state.scheduledEvents.splice(0, state.scheduledEvents.length, ...kept);
    pruned = true;
  }
  return pruned;
}
