// Keeps, for each step of a sequence, the chain that reached the step and started last. Only that chain has
// the most time left to be completed.
import type { EventInstant } from "./count-facts.ts";
import { insertInOrder, type OrderedFacts } from "./ordered-facts.ts";

export interface SequenceFacts extends OrderedFacts<SequenceOutcome> {
  readonly kind: "sequence";
}

/** The events of the steps reached. */
export type Chain = readonly EventInstant[];

export interface SequenceOutcome {
  /** For each step except the last. */
  readonly reached: readonly (ReachedStep | undefined)[];
  /** The chain with the newest last step that counts. */
  readonly completed: Chain | undefined;
}

interface ReachedStep {
  readonly chain: Chain;
  /** The instant at which the step was reached. */
  readonly atMs: number;
  /** The best chain before that instant, because steps must be strictly later than one another. */
  readonly before: Chain | undefined;
}

export interface SequencePlan {
  readonly steps: number;
  readonly withinMs: number;
  /** Where the last step must lie, for a fixed window. */
  readonly completedFromMs: number;
  readonly completedToMs: number;
  /** A completed sequence never changes again. */
  readonly isForEver: boolean;
}

export function emptySequenceFacts(): SequenceFacts {
  return { kind: "sequence", base: { reached: [], completed: undefined }, baseMs: undefined, recent: [] };
}

/** Returns false when the event's position in the order is unknown. Bit i of `matcherBits` is step i. */
export function applyToSequenceFacts(
  facts: SequenceFacts,
  instant: EventInstant,
  matcherBits: number,
  plan: SequencePlan,
): boolean {
  if (plan.isForEver && facts.base.completed !== undefined) return true;
  return insertInOrder(facts, instant, matcherBits, (outcome, one, bits) =>
    advanceSequence(outcome, one, bits, plan),
  );
}

export function advanceSequence(
  outcome: SequenceOutcome,
  instant: EventInstant,
  matcherBits: number,
  plan: SequencePlan,
): SequenceOutcome {
  const [ms] = instant;
  const reached = [...outcome.reached];
  let { completed } = outcome;
  // From the last step to the first, so that each step extends a chain from before this event.
  for (let step = plan.steps - 1; step >= 0; step -= 1) {
    if ((matcherBits & (1 << step)) === 0) continue;
    const chain = extend(step === 0 ? [] : reachedBefore(outcome.reached[step - 1], ms), instant, plan);
    if (chain === undefined) continue;
    if (step < plan.steps - 1) reached[step] = laterStarted(outcome.reached[step], chain, ms);
    else if (ms >= plan.completedFromMs && ms < plan.completedToMs) completed = chain;
  }
  return { reached, completed };
}

function reachedBefore(reached: ReachedStep | undefined, ms: number): Chain | undefined {
  if (reached === undefined) return undefined;
  return reached.atMs < ms ? reached.chain : reached.before;
}

function extend(chain: Chain | undefined, instant: EventInstant, plan: SequencePlan): Chain | undefined {
  if (chain === undefined) return undefined;
  const startMs = chain[0]?.[0] ?? instant[0];
  return instant[0] - startMs <= plan.withinMs ? [...chain, instant] : undefined;
}

function laterStarted(reached: ReachedStep | undefined, chain: Chain, ms: number): ReachedStep {
  if (reached === undefined) return { chain, atMs: ms, before: undefined };
  if (startOf(chain) <= startOf(reached.chain)) return reached;
  return { chain, atMs: ms, before: reached.atMs < ms ? reached.chain : reached.before };
}

function startOf(chain: Chain): number {
  return chain[0]?.[0] ?? Number.NEGATIVE_INFINITY;
}
