// Everything kept of one profile: its facts, the segments it is in, and the events that lie ahead.
import type { SegmentId } from "@muster/core";
import { isMap, type JsonObject } from "../predicates/values.ts";
import { type AnyFacts, emptyFactsOf, type FactEvent, feed, isOfInterest } from "./any-facts.ts";
import type { Definitions, SegmentDefinition, TrackedFact, TrackedMatcher } from "./definitions.ts";
import type { Instant } from "./facts.ts";
import { FUTURE_EVENTS_MAX, type FutureEvent, keepFuture } from "./future-events.ts";
import { countableNumber } from "./value-facts.ts";
import type { ProfileView } from "./verdict.ts";

export interface ProfileState {
  /**
   * The shard position up to which the facts hold every event: messages up to it skip the profile.
   * Invariant: one position for all matchers of the row, so that no segment ever sees two instants of
   * the past at once. 0 where the row was only ever folded, message by message.
   */
  asOf: number;
  /** By the key of their specification. */
  readonly facts: Map<string, AnyFacts>;
  /** Undefined until some segment asked about every profile. */
  createMs: number | undefined;
  /** The keys of the predicates on traits that hold. */
  readonly traits: Set<string>;
  /** The segments it is in, each with when Muster saw it enter. */
  readonly memberships: Map<SegmentId, number>;
  /** Soonest first, at most {@link FUTURE_EVENTS_MAX}. */
  readonly futures: FutureEvent[];
  /**
   * From then on the row must be derived from raw again: the soonest future event that found no room, or
   * at once for an event that came too late to be placed.
   */
  droppedMs: number | undefined;
  /**
   * Where retention had removed raw events when a fact was read from them: it may know nothing of what happened
   * before. By the fact's key; what is not named here, a fact that is not there too, knows all.
   */
  readonly completeSince: Map<string, number>;
  /** The keys of facts that lack an event which came too late for its place, or found no room. */
  readonly lacking: Set<string>;
  /**
   * The profile stands for another person than its facts are about, or for none: nothing is folded into it
   * and nothing told of it until it has been derived anew, from a snapshot that holds all that was folded.
   */
  isFrozen: boolean;
}

export function emptyState(): ProfileState {
  return {
    asOf: 0,
    facts: new Map(),
    createMs: undefined,
    traits: new Set(),
    memberships: new Map(),
    futures: [],
    droppedMs: undefined,
    completeSince: new Map(),
    lacking: new Set(),
    isFrozen: false,
  };
}

/** Nothing in it that is worth a row, unless the profile is due for a visit. */
export function isEmptyState(state: ProfileState): boolean {
  return (
    state.facts.size === 0 &&
    state.traits.size === 0 &&
    state.memberships.size === 0 &&
    state.futures.length === 0 &&
    state.droppedMs === undefined &&
    state.completeSince.size === 0 &&
    !state.isFrozen
  );
}

/** What rules are evaluated over. `ruleOf` finds the rules of segments that others refer to. */
export function viewOf(state: ProfileState, ruleOf: ProfileView["ruleOf"]): ProfileView {
  return {
    facts: (key) => state.facts.get(key),
    trait: (key) => state.traits.has(key),
    createMs: state.createMs,
    ruleOf,
  };
}

/** An event as the engine sees it. */
export interface EngineEvent {
  readonly eventName: string;
  readonly instant: Instant;
  /** A JSON object. */
  readonly properties: string;
}

/** A profile as the engine sees it. */
export interface EngineProfile {
  readonly createMs: number;
  /** A JSON object. */
  readonly traits: string;
}

/** Takes in that the profile is there, and what it is like now. */
export function recordProfile(
  state: ProfileState,
  definitions: Definitions,
  profile: EngineProfile,
  touched: Set<SegmentDefinition>,
): void {
  if (state.createMs === undefined) {
    for (const segment of definitions.everyProfile) touched.add(segment);
  }
  state.createMs = profile.createMs;
  let traits: JsonObject | undefined;
  for (const { key, predicate, segments } of definitions.traits) {
    traits ??= parseObject(profile.traits);
    const holds = predicate.matches(traits);
    if (holds === state.traits.has(key)) continue;
    if (holds) state.traits.add(key);
    else state.traits.delete(key);
    for (const segment of segments) touched.add(segment);
  }
}

/** Takes an event in, and adds to `touched` the segments it may change. */
export function recordEvent(
  state: ProfileState,
  definitions: Definitions,
  event: EngineEvent,
  nowMs: number,
  touched: Set<SegmentDefinition>,
  futuresMax = FUTURE_EVENTS_MAX,
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
    keepFuture(state, definitions, { ...fact, matcherKeys }, futuresMax);
  } else feedAll(state, definitions, matching, fact, nowMs, touched);
}

/** Counts the future events that have come due by now, and adds to `touched` what they may change. */
export function settleFutures(
  state: ProfileState,
  definitions: Definitions,
  nowMs: number,
  touched: Set<SegmentDefinition>,
): void {
  for (let next = state.futures[0]; next !== undefined && next.instant[0] <= nowMs; next = state.futures[0]) {
    state.futures.shift();
    const matching = next.matcherKeys.map((key) => definitions.tracked(key));
    const tracked = matching.filter((one) => one !== undefined);
    feedAll(state, definitions, tracked, next, nowMs, touched);
  }
}

/** Whether only the raw events can tell the truth now: of ones that found no room, or came too late. */
export function needsDerivation(state: ProfileState, nowMs: number): boolean {
  return state.droppedMs !== undefined && state.droppedMs <= nowMs;
}

/** Drops what no segment reads any more. Returns whether there was anything. */
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
  const kept = state.futures.filter(({ matcherKeys }) =>
    matcherKeys.some((key) => definitions.tracked(key) !== undefined),
  );
  if (kept.length < state.futures.length) {
    state.futures.splice(0, state.futures.length, ...kept);
    pruned = true;
  }
  return pruned;
}

function feedAll(
  state: ProfileState,
  definitions: Definitions,
  matching: readonly TrackedMatcher[],
  event: FactEvent,
  nowMs: number,
  touched: Set<SegmentDefinition>,
): void {
  const marked = matching.length === 1 ? undefined : marksOf(matching);
  for (const { feeds } of matching) {
    for (const { fact, marks: own } of feeds) {
      const marks = marked?.get(fact) ?? own;
      // A fact that several matchers feed takes the event once, with the one in the first place.
      if ((marks & -marks & own) === 0 || !isOfInterest(fact.spec, event)) continue;
      const facts = factsIn(state, fact);
      const isPlaced = feed(fact.spec, facts, event, { marks, nowMs, valuesMax: definitions.valuesMax });
      if (!isPlaced) {
        state.droppedMs = Math.min(state.droppedMs ?? nowMs, nowMs);
        state.lacking.add(fact.spec.key);
      }
      for (const segment of fact.segments) touched.add(segment);
    }
  }
}

/** Of the facts that more than one of these matchers feeds, all the marks. */
function marksOf(matching: readonly TrackedMatcher[]): Map<TrackedFact, number> {
  const marks = new Map<TrackedFact, number>();
  for (const { feeds } of matching) {
    for (const { fact, marks: own } of feeds) {
      if (fact.spec.matchers.length > 1) marks.set(fact, (marks.get(fact) ?? 0) | own);
    }
  }
  return marks;
}

function factsIn(state: ProfileState, { spec }: TrackedFact): AnyFacts {
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
