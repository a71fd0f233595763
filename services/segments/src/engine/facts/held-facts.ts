// Keeps the first A after the last B, which is all that `held_for` of "A, then not B" needs.
import type { EventInstant } from "./count-facts.ts";
import { insertInOrder, type OrderedFacts, outcomeOf } from "./ordered-facts.ts";

export interface HeldFacts extends OrderedFacts<HeldOutcome> {
  readonly kind: "held";
}

export interface HeldOutcome {
  readonly lastMs: number | undefined;
  readonly thenNotLastMs: number | undefined;
  /** The first A strictly later than the last B. */
  readonly since: EventInstant | undefined;
}

/** Bits of `matcherBits`. */
const IS_A = 1;
const IS_B = 2;

const NO_OUTCOME: HeldOutcome = { lastMs: undefined, thenNotLastMs: undefined, since: undefined };

export function emptyHeldFacts(): HeldFacts {
  return { kind: "held", base: NO_OUTCOME, baseMs: undefined, recent: [] };
}

/** Returns false when the event's position in the order is unknown. */
export function applyToHeldFacts(facts: HeldFacts, instant: EventInstant, matcherBits: number): boolean {
  // Events up to the last known B change nothing.
  const { thenNotLastMs } = outcomeOf(facts, advanceHeld);
  if (thenNotLastMs !== undefined && instant[0] <= thenNotLastMs) return true;
  return insertInOrder(facts, instant, matcherBits, advanceHeld);
}

/** An A and a B at the same instant count as completed, whichever arrived first. */
export function advanceHeld(outcome: HeldOutcome, instant: EventInstant, matcherBits: number): HeldOutcome {
  const [ms] = instant;
  let { lastMs, thenNotLastMs, since } = outcome;
  if ((matcherBits & IS_B) !== 0) {
    thenNotLastMs = ms;
    if (since !== undefined && since[0] <= ms) since = undefined;
  }
  if ((matcherBits & IS_A) !== 0) {
    lastMs = ms;
    if (since === undefined && (thenNotLastMs === undefined || ms > thenNotLastMs)) since = instant;
  }
  return { lastMs, thenNotLastMs, since };
}
