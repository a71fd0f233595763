// Everything kept of one profile: its facts, the segments it is in, and the events that lie ahead.
import type { SegmentId } from "@muster/core";
import type { Definitions, SegmentDefinition } from "./definitions.ts";
import { applyEvent, emptyFacts, type Facts, type Instant } from "./facts.ts";

/** An event dated after now: it counts from its instant on. */
export interface FutureEvent {
  readonly instant: Instant;
  /** The matchers it feeds. */
  readonly matcherKeys: readonly string[];
}

export interface ProfileState {
  /**
   * The shard position up to which the facts hold every event: messages up to it skip the profile.
   * Invariant: one position for all matchers of the row, so that no segment ever sees two instants of
   * the past at once. 0 where the row was only ever folded, message by message.
   */
  asOf: number;
  readonly facts: Map<string, Facts>;
  /** The segments it is in, each with when Muster saw it enter. */
  readonly memberships: Map<SegmentId, number>;
  /** Soonest first, at most {@link FUTURE_EVENTS_MAX}. */
  readonly futures: FutureEvent[];
  /** The soonest future event that found no room: from then on the row must be derived from raw again. */
  droppedMs: number | undefined;
}

/** Future events that one profile keeps; the others are read again when they come due. */
export const FUTURE_EVENTS_MAX = 32;

export function emptyState(): ProfileState {
  return { asOf: 0, facts: new Map(), memberships: new Map(), futures: [], droppedMs: undefined };
}

/** Nothing in it that is worth a row. */
export function isEmptyState(state: ProfileState): boolean {
  return (
    state.facts.size === 0 &&
    state.memberships.size === 0 &&
    state.futures.length === 0 &&
    state.droppedMs === undefined
  );
}

/** An event as the engine sees it. */
export interface EngineEvent {
  readonly eventName: string;
  readonly instant: Instant;
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
  const matching = definitions.matching(event.eventName);
  if (matching.length === 0) return;
  if (event.instant[0] > nowMs) {
    const matcherKeys = matching.map(({ matcher }) => matcher.key);
    keepFuture(state, { instant: event.instant, matcherKeys }, futuresMax);
    return;
  }
  for (const { matcher, depth, segments } of matching) {
    count(state, matcher.key, event.instant, depth);
    for (const segment of segments) touched.add(segment);
  }
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
    for (const key of next.matcherKeys) {
      const tracked = definitions.tracked(key);
      if (tracked === undefined) continue;
      count(state, key, next.instant, tracked.depth);
      for (const segment of tracked.segments) touched.add(segment);
    }
  }
}

/** Whether events that found no room have come due: only the raw events can tell the truth now. */
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
    if (definitions.tracked(key) === undefined) pruned = state.facts.delete(key) || pruned;
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

function count(state: ProfileState, key: string, instant: Instant, depth: number): void {
  let facts = state.facts.get(key);
  if (facts === undefined) {
    facts = emptyFacts();
    state.facts.set(key, facts);
  }
  applyEvent(facts, instant, depth);
}

function keepFuture(state: ProfileState, future: FutureEvent, futuresMax: number): void {
  const { futures } = state;
  const index = futures.findIndex(({ instant }) => instant[0] > future.instant[0]);
  futures.splice(index < 0 ? futures.length : index, 0, future);
  if (futures.length <= futuresMax) return;
  const dropped = futures.pop();
  if (dropped === undefined) return;
  state.droppedMs = Math.min(state.droppedMs ?? Number.POSITIVE_INFINITY, dropped.instant[0]);
}
