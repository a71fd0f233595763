// Applies events and profile changes to a profile's state, and schedules events dated after now.
import type { JsonObject } from "../../predicates/values/values.ts";
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
import {
  allSteps,
  type EventMatch,
  matchEventInSteps,
  matchTraitsInSteps,
  parseObject,
  type TraitMatch,
} from "./match-predicates.ts";
import type { ProfileState } from "./profile-state.ts";
import { SCHEDULED_EVENTS_MAX, type ScheduledEvent } from "./scheduled-events.ts";

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

export interface RecordOptions<Match> {
  /** The results of the predicates, if known. Results by other definitions are ignored. */
  readonly match?: Match | undefined;
  /** Called before the state changes so that memberships of these segments become unknown. */
  readonly beforeLimiting?: (segments: ReadonlySet<SegmentDefinition>) => void;
}

export interface RecordEventOptions extends RecordOptions<EventMatch> {
  readonly scheduledEventsMax?: number;
}

/**
 * Records that the profile exists, and its current traits. Adds affected segments to `changedSegments`. Returns
 * the results of the predicates.
 */
export function recordProfile(
  state: ProfileState,
  definitions: Definitions,
  profile: EngineProfile,
  changedSegments: Set<SegmentDefinition>,
  { match: known, beforeLimiting }: RecordOptions<TraitMatch> = {},
): TraitMatch {
  const match =
    known?.definitions === definitions ? known : allSteps(matchTraitsInSteps(definitions, profile));
  markUnknown(state, definitions, match.unknown, beforeLimiting);
  if (state.createMs === undefined) {
    for (const segment of definitions.emptyHistorySegments) changedSegments.add(segment);
  }
  state.createMs = profile.createMs;
  const matching = new Set(match.matching);
  const unknown = new Set(match.unknown);
  for (const trait of definitions.traits) {
    const { key, segments } = trait;
    if (unknown.has(trait)) continue;
    const wasUnknown = state.unknownKeys.delete(key);
    const holds = matching.has(trait);
    if (holds === state.traits.has(key) && !wasUnknown) continue;
    if (holds) state.traits.add(key);
    else state.traits.delete(key);
    for (const segment of segments) changedSegments.add(segment);
  }
  return match;
}

/**
 * Applies or schedules an event, and adds affected segments to `changedSegments`. Returns the results of the
 * predicates.
 */
export function recordEvent(
  state: ProfileState,
  definitions: Definitions,
  event: EngineEvent,
  nowMs: number,
  changedSegments: Set<SegmentDefinition>,
  { match: known, beforeLimiting, scheduledEventsMax = SCHEDULED_EVENTS_MAX }: RecordEventOptions = {},
): EventMatch {
  const match = known?.definitions === definitions ? known : allSteps(matchEventInSteps(definitions, event));
  const { matching, unknown } = match;
  if (matching.length === 0 && unknown.length === 0) return match;
  const { instant } = event;
  const affected = unknown.length === 0 ? matching : [...matching, ...unknown];
  let object = match.object;
  const properties = () => {
    object ??= parseObject(event.properties);
    return object;
  };
  const fact: FactEvent = { instant, values: numbersOf(affected, properties) };
  markUnknown(state, definitions, factsChangedBy(fact, unknown), beforeLimiting);
  if (matching.length === 0) return match;
  if (instant[0] > nowMs) {
    const matcherKeys = matching.map(({ matcher }) => matcher.key);
    scheduleEvent(state, definitions, { ...fact, matcherKeys }, scheduledEventsMax);
  } else applyToFacts(state, definitions, matching, fact, nowMs, changedSegments);
  return match;
}

/** The facts that the event would change if it matched. A scheduled event counts from its arrival on. */
function factsChangedBy(event: FactEvent, matchers: readonly TrackedMatcher[]): { readonly key: string }[] {
  const targets = matchers.flatMap((matcher) => matcher.targets);
  return targets.flatMap(({ fact: { spec } }) => (changesFacts(spec, event) ? [{ key: spec.key }] : []));
}

function markUnknown(
  state: ProfileState,
  definitions: Definitions,
  unknown: readonly { readonly key: string }[],
  beforeLimiting: RecordOptions<unknown>["beforeLimiting"],
): void {
  const added = new Set(unknown.map(({ key }) => key).filter((key) => !state.unknownKeys.has(key)));
  if (added.size === 0) return;
  beforeLimiting?.(definitions.segmentsReading(added));
  for (const key of added) state.unknownKeys.add(key);
}

/**
 * Keeps scheduled events in the order in which they come due. When the list is full, the latest event is
 * dropped and the profile is rebuilt when that event comes due.
 */
function scheduleEvent(
  state: ProfileState,
  definitions: Definitions,
  scheduled: ScheduledEvent,
  scheduledEventsMax: number,
): void {
  const { scheduledEvents } = state;
  const index = scheduledEvents.findIndex(({ instant }) => instant[0] > scheduled.instant[0]);
  scheduledEvents.splice(index < 0 ? scheduledEvents.length : index, 0, scheduled);
  if (scheduledEvents.length <= scheduledEventsMax) return;
  const dropped = scheduledEvents.pop();
  if (dropped === undefined) return;
  state.rebuildDueMs = Math.min(state.rebuildDueMs ?? Number.POSITIVE_INFINITY, dropped.instant[0]);
  for (const matcherKey of dropped.matcherKeys) {
    for (const { fact } of definitions.tracked(matcherKey)?.targets ?? [])
      state.incompleteFacts.add(fact.spec.key);
  }
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
