// Decides a rule over facts at an instant. Pure: no clock, no database. One function serves membership,
// timers and, later, preview and explain.
import { type Facts, type Instant, nthNewest } from "./facts.ts";
import type { Performed, PerformedThenNot, Rule } from "./rule.ts";

export interface Verdict {
  readonly member: boolean;
  /** When the answer changes by itself, with no further event. Undefined means never. */
  readonly nextChangeAt: number | undefined;
  readonly because: Because;
}

/** What was observed that decided. */
export type Because =
  | {
      readonly kind: "performed";
      readonly total: number;
      /** The n-th newest event (without a window the newest): the one whose leaving would change the answer. */
      readonly deciding: Instant | undefined;
    }
  | {
      readonly kind: "performed_then_not";
      readonly lastMs: number | undefined;
      readonly thenNotLastMs: number | undefined;
    };

/** The facts of a matcher by its key; undefined when the profile has no such event. */
export type FactsOf = (matcherKey: string) => Facts | undefined;

/** The facts must hold exactly the events with an instant <= nowMs. */
export function evaluate(rule: Rule, factsOf: FactsOf, nowMs: number): Verdict {
  switch (rule.kind) {
    case "performed":
      return evaluatePerformed(rule, factsOf(rule.matcher.key), nowMs);
    case "performed_then_not":
      return evaluatePerformedThenNot(rule, factsOf);
  }
}

function evaluatePerformed(rule: Performed, facts: Facts | undefined, nowMs: number): Verdict {
  const { n } = rule.count;
  const total = facts?.total ?? 0;
  if (facts === undefined || total < n) {
    return {
      member: false,
      nextChangeAt: undefined,
      because: { kind: "performed", total, deciding: undefined },
    };
  }
  if (rule.window === undefined) {
    const because: Because = { kind: "performed", total, deciding: nthNewest(facts, 1) };
    return { member: true, nextChangeAt: undefined, because };
  }
  // At least n in (now - d, now] iff the n-th newest is in it; so it ends when that one leaves.
  const deciding = nthNewest(facts, n);
  const endMs = deciding === undefined ? Number.NEGATIVE_INFINITY : deciding[0] + rule.window.ms;
  const member = nowMs < endMs;
  return {
    member,
    nextChangeAt: member ? endMs : undefined,
    because: { kind: "performed", total, deciding },
  };
}

function evaluatePerformedThenNot(rule: PerformedThenNot, factsOf: FactsOf): Verdict {
  const lastMs = factsOf(rule.matcher.key)?.lastMs;
  const thenNotLastMs = factsOf(rule.thenNot.key)?.lastMs;
  // An equal instant counts as completed, whichever came in first.
  const member = lastMs !== undefined && (thenNotLastMs === undefined || lastMs > thenNotLastMs);
  return { member, nextChangeAt: undefined, because: { kind: "performed_then_not", lastMs, thenNotLastMs } };
}
