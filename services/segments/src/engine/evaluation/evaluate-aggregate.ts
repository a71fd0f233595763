// Evaluates aggregate leaves and computes when the result changes as numbers leave the window.
import type { AnyFacts } from "../facts/any-facts.ts";
import { addExactly, type Partials, roundedSum } from "../facts/exact-sum.ts";
import type { Tally, ValueLog } from "../facts/value-facts.ts";
import { type Aggregate, compare } from "../rule/rule.ts";
import { leavesAt, type MovingWindow, windowStart } from "../rule/window.ts";
import type { Evaluation, Evidence, WindowEvaluator } from "./evaluation.ts";

export function evaluateAggregate(
  leaf: Aggregate,
  facts: AnyFacts | undefined,
  nowMs: number,
  windows?: WindowEvaluator,
): Evaluation {
  const { window } = leaf;
  if (window !== undefined && window.kind !== "between") {
    const log = facts?.kind === "values" ? facts : undefined;
    return windows?.evaluate(leaf, window, log, nowMs) ?? evaluateLog(leaf, window, log, nowMs);
  }
  const running = new RunningAggregate();
  if (facts?.kind === "tally") running.load(facts);
  const value = running.value(leaf.function);
  const evidence: Evidence = { kind: "aggregate", value, count: running.count };
  return { member: isMet(leaf, value), nextChangeAt: undefined, isExact: true, evidence };
}

/**
 * Numbers leave the window one by one, oldest first. Every prefix of the log, counted from the newest number,
 * is therefore the whole window at some later time. The longest prefix with another result than the full log
 * gives the next change.
 */
function evaluateLog(
  leaf: Aggregate,
  window: MovingWindow,
  facts: ValueLog | undefined,
  nowMs: number,
): Evaluation {
  const log = facts?.log ?? [];
  const startMs = windowStart(window, nowMs);
  const running = new RunningAggregate();
  /** The result of each prefix, and the instant from which that prefix is the whole window. */
  const prefixes: { readonly holds: boolean; readonly atMs: number }[] = [];
  for (let index = log.length - 1; index >= 0; index -= 1) {
    const [ms, value] = log[index] ?? [0, 0];
    if (ms < startMs) break;
    const newer = log[index + 1];
    const atMs = leavesAt(window, ms);
    // Numbers that leave at the same instant never form separate prefixes.
    if (newer === undefined || leavesAt(window, newer[0]) > atMs) {
      prefixes.push({ holds: isMet(leaf, running.value(leaf.function)), atMs });
    }
    running.add(value);
  }
  const value = running.value(leaf.function);
  const member = isMet(leaf, value);
  return {
    member,
    nextChangeAt: prefixes.findLast(({ holds }) => holds !== member)?.atMs,
    isExact: facts?.truncatedMs === undefined || facts.truncatedMs < startMs,
    evidence: { kind: "aggregate", value, count: running.count },
  };
}

function isMet({ comparison }: Aggregate, value: number | undefined): boolean {
  return value !== undefined && compare(comparison.kind, value, comparison.value);
}

class RunningAggregate {
  count = 0;
  #sum: Partials = [];
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;

  load(tally: Tally): void {
    this.count = tally.count;
    this.#sum = tally.sum;
    this.#min = tally.min;
    this.#max = tally.max;
  }

  add(value: number): void {
    this.count += 1;
    addExactly(this.#sum, value);
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
  }

  value(name: Aggregate["function"]): number | undefined {
    if (name === "sum") return roundedSum(this.#sum);
    if (this.count === 0) return undefined;
    if (name === "average") return roundedSum(this.#sum) / this.count;
    return name === "min" ? this.#min : this.#max;
  }
}
