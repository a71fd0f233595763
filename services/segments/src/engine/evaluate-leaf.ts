// Evaluates one leaf over its facts: whether it holds, the evidence, and when the result changes without an
// event.
import type { AnyFacts } from "./any-facts.ts";
import { evaluateAggregate } from "./evaluate-aggregate.ts";
import { factsOfLeaf, traitKeyOf } from "./fact-spec.ts";
import { countSince, type Facts } from "./facts.ts";
import { advanceHeld, type HeldOutcome } from "./held-facts.ts";
import { outcomeOf } from "./ordered-facts.ts";
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
} from "./rule.ts";
import { advanceSequence, type Chain, type SequenceOutcome } from "./sequence-facts.ts";
import { dayOf, startOfDay } from "./time-zone.ts";
import type { Because, PerformedBecause, ProfileView, Verdict } from "./verdict.ts";
import { leavesAt, type MovingWindow, windowStart } from "./window.ts";

/** `nextChangeAt` is exact. */
export function evaluateLeaf(leaf: Exclude<Leaf, InSegment>, view: ProfileView, nowMs: number): Verdict {
  switch (leaf.kind) {
    case "performed":
      return evaluatePerformed(leaf, countFacts(leaf, view), nowMs);
    case "performed_then_not":
      return evaluatePerformedThenNot(leaf, view, nowMs);
    case "sequence":
      return evaluateSequence(leaf, view, nowMs);
    case "trait": {
      const holds = view.trait(traitKeyOf(leaf.where));
      return exactly(holds, undefined, { kind: "trait", holds });
    }
    case "inactive_for":
      return evaluateInactiveFor(leaf, countFacts(leaf, view), view.createMs, nowMs);
    case "aggregate":
      return evaluateAggregate(leaf, factsAt(leaf, 0, view), nowMs);
    case "occurrence":
      return evaluateOccurrence(leaf, countFacts(leaf, view), nowMs);
    case "active_days":
      return evaluateActiveDays(leaf, factsAt(leaf, 0, view), nowMs);
  }
}

function factsAt(leaf: Leaf, index: number, view: ProfileView): AnyFacts | undefined {
  const key = factsOfLeaf(leaf)[index]?.key;
  return key === undefined ? undefined : view.facts(key);
}

function countFacts(leaf: Leaf, view: ProfileView, index = 0): Facts | undefined {
  const facts = factsAt(leaf, index, view);
  return facts?.kind === "count" ? facts : undefined;
}

function exactly(member: boolean, nextChangeAt: number | undefined, because: Because): Verdict {
  return { member, nextChangeAt, isExact: true, because };
}

function evaluatePerformed(leaf: Performed, facts: Facts | undefined, nowMs: number): Verdict {
  const { window, count } = leaf;
  const total = facts?.total ?? 0;
  const newest = facts?.newest ?? [];
  if (window === undefined || window.kind === "between") {
    const because: PerformedBecause = {
      ...{ kind: "performed", total, count: total, orMore: false },
      ...{ newest, deciding: newest[0] },
    };
    return exactly(compare(count.kind, total, count.n), undefined, because);
  }
  const counted = facts === undefined ? 0 : countSince(facts, windowStart(window, nowMs));
  const turn = nextTurn(leaf, window, facts, counted);
  const because: PerformedBecause = {
    ...{ kind: "performed", total, count: counted, newest },
    orMore: counted === newest.length && counted < total,
    deciding: turn?.deciding ?? newest[Math.min(counted, 1) - 1],
  };
  return exactly(compare(count.kind, counted, count.n), turn?.atMs, because);
}

/**
 * The count only falls as events leave the window. At least n events are in (now - d, now] exactly while the
 * n-th newest event is. The result therefore changes when that event leaves; other comparisons use their own
 * thresholds.
 */
function nextTurn(
  { count }: Performed,
  window: MovingWindow,
  facts: Facts | undefined,
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

function evaluatePerformedThenNot(leaf: PerformedThenNot, view: ProfileView, nowMs: number): Verdict {
  if (leaf.heldForMs > 0) return evaluateHeldFor(leaf, view, nowMs);
  const lastMs = countFacts(leaf, view)?.newest[0]?.[0];
  const thenNotLastMs = countFacts(leaf, view, 1)?.newest[0]?.[0];
  // An A and a B at the same instant count as completed, whichever arrived first.
  const member = lastMs !== undefined && (thenNotLastMs === undefined || lastMs > thenNotLastMs);
  const because: Because = { kind: "performed_then_not", lastMs, thenNotLastMs, since: undefined };
  return exactly(member, undefined, because);
}

const NO_OUTCOME: HeldOutcome = { lastMs: undefined, thenNotLastMs: undefined, since: undefined };

/** Some A <= now - d has no B in [A, now] exactly when the first A after the last B is such an A. */
function evaluateHeldFor(leaf: PerformedThenNot, view: ProfileView, nowMs: number): Verdict {
  const facts = factsAt(leaf, 0, view);
  const outcome = facts?.kind === "held" ? outcomeOf(facts, advanceHeld) : NO_OUTCOME;
  const { since } = outcome;
  const startMs = since === undefined ? Number.POSITIVE_INFINITY : since[0] + leaf.heldForMs;
  const member = startMs <= nowMs;
  const nextChangeAt = member || since === undefined ? undefined : startMs;
  return exactly(member, nextChangeAt, { kind: "performed_then_not", ...outcome });
}

function evaluateSequence(leaf: Sequence, view: ProfileView, nowMs: number): Verdict {
  const [spec] = factsOfLeaf(leaf);
  const facts = factsAt(leaf, 0, view);
  const steps = leaf.steps.length;
  if (spec?.kind !== "sequence" || facts?.kind !== "sequence") {
    return exactly(false, undefined, { kind: "sequence", chain: [], steps });
  }
  const { plan } = spec;
  const outcome = outcomeOf(facts, (before, instant, marks) => advanceSequence(before, instant, marks, plan));
  const completedMs = outcome.completed?.at(-1)?.[0];
  const { window } = leaf;
  let endMs = Number.POSITIVE_INFINITY;
  if (completedMs !== undefined && window !== undefined && window.kind !== "between") {
    endMs = leavesAt(window, completedMs);
  }
  const member = completedMs !== undefined && nowMs < endMs;
  const chain = member ? (outcome.completed ?? []) : furthest(outcome, plan.withinMs, nowMs);
  const nextChangeAt = member && Number.isFinite(endMs) ? endMs : undefined;
  return exactly(member, nextChangeAt, { kind: "sequence", chain, steps });
}

/** The chain with the most steps among the chains that can still be completed. */
function furthest({ reached }: SequenceOutcome, withinMs: number, nowMs: number): Chain {
  const open = reached.findLast((one) => {
    const startMs = one?.chain[0]?.[0];
    return startMs !== undefined && startMs + withinMs >= nowMs;
  });
  return open?.chain ?? [];
}

function evaluateInactiveFor(
  leaf: InactiveFor,
  facts: Facts | undefined,
  createMs: number | undefined,
  nowMs: number,
): Verdict {
  const last = facts?.newest[0];
  const sinceMs = last?.[0] ?? createMs;
  const because: Because = { kind: "inactive_for", last, sinceMs };
  if (sinceMs === undefined) return exactly(false, undefined, because);
  const startMs = sinceMs + leaf.ms;
  return exactly(startMs <= nowMs, startMs <= nowMs ? undefined : startMs, because);
}

function evaluateOccurrence(leaf: Occurrence, facts: Facts | undefined, nowMs: number): Verdict {
  const instant = leaf.which === "first" ? facts?.first : facts?.newest[0];
  const because: Because = { kind: "occurrence", instant };
  if (instant === undefined) return exactly(false, undefined, because);
  const [ms] = instant;
  const { when } = leaf;
  if (when.kind === "before") return exactly(ms < when.ms, undefined, because);
  if (when.kind === "after") return exactly(ms >= when.ms, undefined, because);
  const endMs = ms + when.ms;
  return exactly(nowMs < endMs, nowMs < endMs ? endMs : undefined, because);
}

/** The k-th newest day decides; the day leaves the window at midnight. */
function evaluateActiveDays(leaf: ActiveDays, facts: AnyFacts | undefined, nowMs: number): Verdict {
  const { timeZone, ofLastDays, atLeast } = leaf;
  const kept = facts?.kind === "days" ? facts.days : [];
  const firstDay = dayOf(timeZone, nowMs) - ofLastDays + 1;
  const days = kept.filter((day) => day >= firstDay);
  const deciding = days[atLeast - 1];
  const nextChangeAt = deciding === undefined ? undefined : startOfDay(timeZone, deciding + ofLastDays);
  return exactly(deciding !== undefined, nextChangeAt, { kind: "active_days", days });
}
