// Evaluates one leaf over its facts: whether it holds, the evidence, and when the result changes without an
// event.
import type { AnyFacts } from "../facts/any-facts.ts";
import { type CountFacts, countSince } from "../facts/count-facts.ts";
import { factsOfLeaf, traitKeyOf } from "../facts/fact-spec.ts";
import { advanceHeld, type HeldOutcome } from "../facts/held-facts.ts";
import { outcomeOf } from "../facts/ordered-facts.ts";
import { advanceSequence, type Chain, type SequenceOutcome } from "../facts/sequence-facts.ts";
import {
  type ActiveDays,
  compare,
  type InactiveFor,
  type InSegment,
  type Leaf,
  type Occurrence,
  type Performed,
  type PerformedThenNot,
  type Sequence,
  thresholdsOf,
} from "../rule/rule.ts";
import { dayOf, startOfDay } from "../rule/time-zone.ts";
import { leavesAt, type MovingWindow, windowStart } from "../rule/window.ts";
import { evaluateAggregate } from "./evaluate-aggregate.ts";
import type { Evaluation, Evidence, PerformedEvidence, ProfileView } from "./evaluation.ts";

/** `nextChangeAt` is exact. */
export function evaluateLeaf(leaf: Exclude<Leaf, InSegment>, view: ProfileView, nowMs: number): Evaluation {
  switch (leaf.kind) {
    case "performed":
      return evaluatePerformed(leaf, countFacts(leaf, view), nowMs);
    case "performed_then_not":
      return evaluatePerformedThenNot(leaf, view, nowMs);
    case "sequence":
      return evaluateSequence(leaf, view, nowMs);
    case "trait": {
      const holds = view.trait(traitKeyOf(leaf.where));
      return exactEvaluation(holds, undefined, { kind: "trait", holds });
    }
    case "inactive_for":
      return evaluateInactiveFor(leaf, countFacts(leaf, view), view.createMs, nowMs);
    case "aggregate":
      return evaluateAggregate(leaf, factsAt(leaf, 0, view), nowMs, view.windows);
    case "occurrence":
      return evaluateOccurrence(leaf, countFacts(leaf, view), nowMs);
    case "active_days":
      return evaluateActiveDays(leaf, factsAt(leaf, 0, view), nowMs);
  }
}

function factsAt(leaf: Leaf<string>, index: number, view: ProfileView): AnyFacts | undefined {
  const key = factsOfLeaf(leaf)[index]?.key;
  return key === undefined ? undefined : view.facts(key);
}

function countFacts(leaf: Leaf<string>, view: ProfileView, index = 0): CountFacts | undefined {
  const facts = factsAt(leaf, index, view);
  return facts?.kind === "count" ? facts : undefined;
}

function exactEvaluation(member: boolean, nextChangeAt: number | undefined, evidence: Evidence): Evaluation {
  return { member, nextChangeAt, isExact: true, evidence };
}

function evaluatePerformed(leaf: Performed, facts: CountFacts | undefined, nowMs: number): Evaluation {
  const { window, count } = leaf;
  const total = facts?.total ?? 0;
  const newest = facts?.newest ?? [];
  if (window === undefined || window.kind === "between") {
    const evidence: PerformedEvidence = {
      kind: "performed",
      total,
      count: total,
      orMore: false,
      newest,
      deciding: newest[0],
    };
    return exactEvaluation(compare(count.kind, total, count.n), undefined, evidence);
  }
  const counted = facts === undefined ? 0 : countSince(facts, windowStart(window, nowMs));
  const nextChange = nextThresholdChange(leaf, window, facts, counted);
  const evidence: PerformedEvidence = {
    kind: "performed",
    total,
    count: counted,
    newest,
    orMore: counted === newest.length && counted < total,
    deciding: nextChange?.deciding ?? newest[Math.min(counted, 1) - 1],
  };
  return exactEvaluation(compare(count.kind, counted, count.n), nextChange?.atMs, evidence);
}

/**
 * The count only falls as events leave the window. At least n events are in (now - d, now] exactly while the
 * n-th newest event is. The result therefore changes when that event leaves; other comparisons use their own
 * thresholds.
 */
function nextThresholdChange(
  { count }: Performed,
  window: MovingWindow,
  facts: CountFacts | undefined,
  counted: number,
): { readonly atMs: number; readonly deciding: readonly [ms: number, eventId: string] } | undefined {
  if (facts === undefined) return undefined;
  const holds = compare(count.kind, counted, count.n);
  for (const threshold of thresholdsOf(count).reverse()) {
    const deciding = threshold <= counted ? facts.newest[threshold - 1] : undefined;
    if (deciding === undefined) continue;
    const atMs = leavesAt(window, deciding[0]);
    const left = countSince(facts, windowStart(window, atMs));
    if (compare(count.kind, left, count.n) !== holds) return { atMs, deciding };
  }
  return undefined;
}

function evaluatePerformedThenNot(leaf: PerformedThenNot, view: ProfileView, nowMs: number): Evaluation {
  if (leaf.heldForMs > 0) return evaluateHeldFor(leaf, view, nowMs);
  const lastMs = countFacts(leaf, view)?.newest[0]?.[0];
  const thenNotLastMs = countFacts(leaf, view, 1)?.newest[0]?.[0];
  // An A and a B at the same instant count as completed, whichever arrived first.
  const member = lastMs !== undefined && (thenNotLastMs === undefined || lastMs > thenNotLastMs);
  const evidence: Evidence = { kind: "performed_then_not", lastMs, thenNotLastMs, since: undefined };
  return exactEvaluation(member, undefined, evidence);
}

const NO_OUTCOME: HeldOutcome = { lastMs: undefined, thenNotLastMs: undefined, since: undefined };

/** Some A <= now - d has no B in [A, now] exactly when the first A after the last B is such an A. */
function evaluateHeldFor(leaf: PerformedThenNot, view: ProfileView, nowMs: number): Evaluation {
  const facts = factsAt(leaf, 0, view);
  const outcome = facts?.kind === "held" ? outcomeOf(facts, advanceHeld) : NO_OUTCOME;
  const { since } = outcome;
  const startMs = since === undefined ? Number.POSITIVE_INFINITY : since[0] + leaf.heldForMs;
  const member = startMs <= nowMs;
  const nextChangeAt = member || since === undefined ? undefined : startMs;
  return exactEvaluation(member, nextChangeAt, { kind: "performed_then_not", ...outcome });
}

function evaluateSequence(leaf: Sequence, view: ProfileView, nowMs: number): Evaluation {
  const [spec] = factsOfLeaf(leaf);
  const facts = factsAt(leaf, 0, view);
  const steps = leaf.steps.length;
  if (spec?.kind !== "sequence" || facts?.kind !== "sequence") {
    return exactEvaluation(false, undefined, { kind: "sequence", chain: [], steps });
  }
  const { plan } = spec;
  const outcome = outcomeOf(facts, (before, instant, matcherBits) =>
    advanceSequence(before, instant, matcherBits, plan),
  );
  const completedMs = outcome.completed?.at(-1)?.[0];
  const { window } = leaf;
  let endMs = Number.POSITIVE_INFINITY;
  if (completedMs !== undefined && window !== undefined && window.kind !== "between") {
    endMs = leavesAt(window, completedMs);
  }
  const member = completedMs !== undefined && nowMs < endMs;
  const chain = member ? (outcome.completed ?? []) : furthestChain(outcome, plan.withinMs, nowMs);
  const nextChangeAt = member && Number.isFinite(endMs) ? endMs : undefined;
  return exactEvaluation(member, nextChangeAt, { kind: "sequence", chain, steps });
}

/** The chain with the most steps among the chains that can still be completed. */
function furthestChain({ reached }: SequenceOutcome, withinMs: number, nowMs: number): Chain {
  const open = reached.findLast((one) => {
    const startMs = one?.chain[0]?.[0];
    return startMs !== undefined && startMs + withinMs >= nowMs;
  });
  return open?.chain ?? [];
}

function evaluateInactiveFor(
  leaf: InactiveFor,
  facts: CountFacts | undefined,
  createMs: number | undefined,
  nowMs: number,
): Evaluation {
  const last = facts?.newest[0];
  const sinceMs = last?.[0] ?? createMs;
  const evidence: Evidence = { kind: "inactive_for", last, sinceMs };
  if (sinceMs === undefined) return exactEvaluation(false, undefined, evidence);
  const startMs = sinceMs + leaf.ms;
  return exactEvaluation(startMs <= nowMs, startMs <= nowMs ? undefined : startMs, evidence);
}

function evaluateOccurrence(leaf: Occurrence, facts: CountFacts | undefined, nowMs: number): Evaluation {
  const instant = leaf.which === "first" ? facts?.first : facts?.newest[0];
  const evidence: Evidence = { kind: "occurrence", instant };
  if (instant === undefined) return exactEvaluation(false, undefined, evidence);
  const [ms] = instant;
  const { when } = leaf;
  if (when.kind === "before") return exactEvaluation(ms < when.ms, undefined, evidence);
  if (when.kind === "after") return exactEvaluation(ms >= when.ms, undefined, evidence);
  const endMs = ms + when.ms;
  return exactEvaluation(nowMs < endMs, nowMs < endMs ? endMs : undefined, evidence);
}

/** The k-th newest day decides; the day leaves the window at midnight. */
function evaluateActiveDays(leaf: ActiveDays, facts: AnyFacts | undefined, nowMs: number): Evaluation {
  const { timeZone, ofLastDays, atLeast } = leaf;
  const kept = facts?.kind === "days" ? facts.days : [];
  const firstDay = dayOf(timeZone, nowMs) - ofLastDays + 1;
  const days = kept.filter((day) => day >= firstDay);
  const deciding = days[atLeast - 1];
  const nextChangeAt = deciding === undefined ? undefined : startOfDay(timeZone, deciding + ofLastDays);
  return exactEvaluation(deciding !== undefined, nextChangeAt, { kind: "active_days", days });
}
