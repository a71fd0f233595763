// Keeps facts that depend on the order of events: the outcome of all older events, and the newest events
// individually. A late event among the newest can still take its position.
import type { EventInstant } from "./count-facts.ts";

export interface OrderedFacts<Outcome> {
  /** The outcome of the events that are no longer kept individually. */
  base: Outcome;
  /** The instant of the newest event in `base`. */
  baseMs: number | undefined;
  /** Ordered by instant, oldest first. */
  readonly recent: OrderedEvent[];
}

/** Bit i of `matcherBits` is set when the event matches the rule's matcher i. */
export type OrderedEvent = readonly [ms: number, eventId: string, matcherBits: number];

/**
 * Applies one event to an outcome.
 * Invariant: events of one instant may come in any order and give the same outcome.
 */
export type Advance<Outcome> = (outcome: Outcome, instant: EventInstant, matcherBits: number) => Outcome;

/** Newest events that are kept individually. An older event requires a rebuild from the raw events. */
export const RECENT_MAX = 16;

/** Returns false, and changes nothing, when the event's position in the order is unknown. */
export function insertInOrder<Outcome>(
  facts: OrderedFacts<Outcome>,
  [ms, eventId]: EventInstant,
  matcherBits: number,
  advance: Advance<Outcome>,
): boolean {
  const { recent } = facts;
  if (facts.baseMs !== undefined && ms < facts.baseMs) return false;
  let index = recent.length;
  for (let other = recent[index - 1]; other !== undefined && other[0] > ms; other = recent[index - 1]) {
    index -= 1;
  }
  recent.splice(index, 0, [ms, eventId, matcherBits]);
  if (recent.length <= RECENT_MAX) return true;
  const oldest = recent.shift();
  if (oldest === undefined) return true;
  facts.base = advance(facts.base, [oldest[0], oldest[1]], oldest[2]);
  facts.baseMs = oldest[0];
  return true;
}

export function outcomeOf<Outcome>(facts: OrderedFacts<Outcome>, advance: Advance<Outcome>): Outcome {
  let outcome = facts.base;
  for (const [ms, eventId, matcherBits] of facts.recent)
    outcome = advance(outcome, [ms, eventId], matcherBits);
  return outcome;
}
