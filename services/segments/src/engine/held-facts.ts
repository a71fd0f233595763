// Did A, and no B since: the first A after the last B, which is all that "for so long" needs.
import type { Instant } from "./facts.ts";
import { noteInOrder, type OrderedFacts, outcomeOf } from "./ordered-facts.ts";

export interface HeldFacts extends OrderedFacts<HeldOutcome> {
  readonly kind: "held";
}

export interface HeldOutcome {
  readonly lastMs: number | undefined;
  readonly thenNotLastMs: number | undefined;
  /** The first A strictly later than the last B. */
  readonly since: Instant | undefined;
}

/** Marks of events. */
const IS_A = 1;
const IS_B = 2;

const NOTHING: HeldOutcome = { lastMs: undefined, thenNotLastMs: undefined, since: undefined };

export function emptyHeldFacts(): HeldFacts {
  return { kind: "held", base: NOTHING, baseMs: undefined, recent: [] };
}

/** False when its place is not known any more. */
export function noteHeld(facts: HeldFacts, instant: Instant, marks: number): boolean {
  // Whatever happened up to a B that is known makes no difference any more.
  const { thenNotLastMs } = outcomeOf(facts, advanceHeld);
  if (thenNotLastMs !== undefined && instant[0] <= thenNotLastMs) return true;
  return noteInOrder(facts, instant, marks, advanceHeld);
}

/** An equal instant counts as completed, whichever came in first. */
export function advanceHeld(outcome: HeldOutcome, instant: Instant, marks: number): HeldOutcome {
  const [ms] = instant;
  let { lastMs, thenNotLastMs, since } = outcome;
  if ((marks & IS_B) !== 0) {
    thenNotLastMs = ms;
    if (since !== undefined && since[0] <= ms) since = undefined;
  }
  if ((marks & IS_A) !== 0) {
    lastMs = ms;
    if (since === undefined && (thenNotLastMs === undefined || ms > thenNotLastMs)) since = instant;
  }
  return { lastMs, thenNotLastMs, since };
}
