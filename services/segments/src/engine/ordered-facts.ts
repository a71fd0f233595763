// Facts that depend on the order of events: what all but the newest events led to, and those newest, so that
// a late one among them can still take its place.
import type { Instant } from "./facts.ts";

export interface OrderedFacts<Outcome> {
  /** What the events let go have led to. */
  base: Outcome;
  /** When the newest of those happened. */
  baseMs: number | undefined;
  /** By instant. */
  readonly recent: MarkedInstant[];
}

/** `marks` are bits: which of the rule's matchers the event is of. */
export type MarkedInstant = readonly [ms: number, eventId: string, marks: number];

/**
 * Takes one event into account.
 * Invariant: events of one instant may come in any order and lead to the same.
 */
export type Advance<Outcome> = (outcome: Outcome, instant: Instant, marks: number) => Outcome;

/** Events kept in order; what comes later than that is read again from the raw events. */
export const RECENT_MAX = 16;

/** False when it came so late that its place is not known any more: then nothing was changed. */
export function noteInOrder<Outcome>(
  facts: OrderedFacts<Outcome>,
  [ms, eventId]: Instant,
  marks: number,
  advance: Advance<Outcome>,
): boolean {
  const { recent } = facts;
  if (facts.baseMs !== undefined && ms < facts.baseMs) return false;
  let index = recent.length;
  for (let other = recent[index - 1]; other !== undefined && other[0] > ms; other = recent[index - 1]) {
    index -= 1;
  }
  recent.splice(index, 0, [ms, eventId, marks]);
  if (recent.length <= RECENT_MAX) return true;
  const oldest = recent.shift();
  if (oldest === undefined) return true;
  facts.base = advance(facts.base, [oldest[0], oldest[1]], oldest[2]);
  facts.baseMs = oldest[0];
  return true;
}

export function outcomeOf<Outcome>(facts: OrderedFacts<Outcome>, advance: Advance<Outcome>): Outcome {
  let outcome = facts.base;
  for (const [ms, eventId, marks] of facts.recent) outcome = advance(outcome, [ms, eventId], marks);
  return outcome;
}
