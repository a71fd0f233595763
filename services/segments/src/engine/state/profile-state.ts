// Holds everything that is kept of one profile: facts, memberships and scheduled events. Applies events to
// it.
import type { SegmentId } from "@muster/core";
import { isMap, type JsonObject } from "../../predicates/values/values.ts";
import type { ProfileView } from "../evaluation/evaluation.ts";
import {
  type AnyFacts,
  applyToFact,
  changesFacts,
  emptyFactsOf,
  type FactEvent,
} from "../facts/any-facts.ts";
import type { EventInstant } from "../facts/count-facts.ts";
import { countableNumber } from "../facts/value-facts.ts";
import type { Definitions, SegmentDefinition, TrackedFact, TrackedMatcher } from "./definitions.ts";
import { SCHEDULED_EVENTS_MAX, type ScheduledEvent, scheduleEvent } from "./scheduled-events.ts";

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
  readonly memberships: Map<SegmentId, number>;
  /** Soonest first, at most {@link SCHEDULED_EVENTS_MAX}. */
  readonly scheduledEvents: ScheduledEvent[];
  /**
   * From this instant on the row must be rebuilt from raw events: the soonest dropped scheduled event, or at
   * once after an event that arrived too late for its position. Undefined: no rebuild is due.
   */
  rebuildDueMs: number | undefined;
  /**
   * Facts that were read after retention had removed raw events, by key. The fact may lack events before the
   * instant. A fact without an entry is complete, even when it has no events.
   */
  readonly completeSince: Map<string, number>;
  /**
   * The keys of facts that lack an event, because it arrived too late or was dropped from the scheduled
   * events.
   */
  readonly incompleteFacts: Set<string>;
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

/** An event in the form that the engine accepts. */
export interface EngineEvent {
  readonly eventName: string;
  readonly instant: EventInstant;
  /** A JSON object. */
  readonly properties: string;
}

/** A profile in the form that the engine accepts. */
export interface EngineProfile {
  readonly createMs: number;
  /** A JSON object. */
  readonly traits: string;
}

/** Records that the profile exists, and its current traits. Adds affected segments to `changedSegments`. */
export function recordProfile(
  state: ProfileState,
  definitions: Definitions,
  profile: EngineProfile,
  changedSegments: Set<SegmentDefinition>,
): void {
  if (state.createMs === undefined) {
    for (const segment of definitions.emptyHistorySegments) changedSegments.add(segment);
  }
  state.createMs = profile.createMs;
  let traits: JsonObject | undefined;
  for (const { key, predicate, segments } of definitions.traits) {
    traits ??= parseObject(profile.traits);
    const holds = predicate.matches(traits);
    if (holds === state.traits.has(key)) continue;
    if (holds) state.traits.add(key);
    else state.traits.delete(key);
    for (const segment of segments) changedSegments.add(segment);
  }
}

/** Applies or schedules an event, and adds affected segments to `changedSegments`. */
export function recordEvent(
  state: ProfileState,
  definitions: Definitions,
  event: EngineEvent,
  nowMs: number,
  changedSegments: Set<SegmentDefinition>,
  scheduledEventsMax = SCHEDULED_EVENTS_MAX,
): void {
  let parsed: JsonObject | undefined;
  const properties = () => {
    parsed ??= parseObject(event.properties);
    return parsed;
  };
  const matching = definitions.matching(event.eventName, properties);
  if (matching.length === 0) return;
  const { instant } = event;
  const fact: FactEvent = { instant, values: numbersOf(matching, properties) };
  if (instant[0] > nowMs) {
    const matcherKeys = matching.map(({ matcher }) => matcher.key);
    scheduleEvent(state, definitions, { ...fact, matcherKeys }, scheduledEventsMax);
  } else applyToFacts(state, definitions, matching, fact, nowMs, changedSegments);
}

/** Applies the scheduled events that are due, and adds affected segments to `changedSegments`. */
export function applyDueEvents(
  state: ProfileState,
  definitions: Definitions,
  nowMs: number,
  changedSegments: Set<SegmentDefinition>,
): void {
  for (
    let next = state.scheduledEvents[0];
    next !== undefined && next.instant[0] <= nowMs;
    next = state.scheduledEvents[0]
  ) {
    state.scheduledEvents.shift();
    const matching = next.matcherKeys.map((key) => definitions.tracked(key));
    const tracked = matching.filter((one) => one !== undefined);
    applyToFacts(state, definitions, tracked, next, nowMs, changedSegments);
  }
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
  const known = new Set([...definitions.traits].map(({ key }) => key));
  for (const key of state.traits) {
    if (!known.has(key)) pruned = state.traits.delete(key) || pruned;
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

function applyToFacts(
  state: ProfileState,
  definitions: Definitions,
  matching: readonly TrackedMatcher[],
  event: FactEvent,
  nowMs: number,
  changedSegments: Set<SegmentDefinition>,
): void {
  const combinedBits = matching.length === 1 ? undefined : combinedBitsOf(matching);
  for (const { targets } of matching) {
    for (const { fact, matcherBits: own } of targets) {
      const matcherBits = combinedBits?.get(fact) ?? own;
      // Several matchers may lead to the same fact. The lowest of their bits applies the event, exactly once.
      if ((matcherBits & -matcherBits & own) === 0 || !changesFacts(fact.spec, event)) continue;
      const facts = factsFor(state, fact);
      const isApplied = applyToFact(fact.spec, facts, event, {
        matcherBits,
        nowMs,
        valuesMax: definitions.valuesMax,
      });
      if (!isApplied) {
        state.rebuildDueMs = Math.min(state.rebuildDueMs ?? nowMs, nowMs);
        state.incompleteFacts.add(fact.spec.key);
      }
      for (const segment of fact.segments) changedSegments.add(segment);
    }
  }
}

/** The combined matcher bits of facts that more than one of these matchers may reach. */
function combinedBitsOf(matching: readonly TrackedMatcher[]): Map<TrackedFact, number> {
  const matcherBits = new Map<TrackedFact, number>();
  for (const { targets } of matching) {
    for (const { fact, matcherBits: own } of targets) {
      if (fact.spec.matchers.length > 1) matcherBits.set(fact, (matcherBits.get(fact) ?? 0) | own);
    }
  }
  return matcherBits;
}

function factsFor(state: ProfileState, { spec }: TrackedFact): AnyFacts {
  let facts = state.facts.get(spec.key);
  if (facts === undefined) {
    facts = emptyFactsOf(spec);
    state.facts.set(spec.key, facts);
  }
  return facts;
}

function numbersOf(
  matching: readonly TrackedMatcher[],
  properties: () => JsonObject,
): Map<string, number> | undefined {
  let numbers: Map<string, number> | undefined;
  for (const tracked of matching) {
    for (const property of tracked.properties) {
      const all = properties();
      const number = Object.hasOwn(all, property) ? countableNumber(all[property]) : undefined;
      if (number === undefined) continue;
      numbers ??= new Map();
      numbers.set(property, number);
    }
  }
  return numbers;
}

function parseObject(json: string): JsonObject {
  try {
    const value: unknown = JSON.parse(json);
    return isMap(value) ? value : {};
  } catch {
    return {};
  }
}
