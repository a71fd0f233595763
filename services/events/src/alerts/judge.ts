// Whether a rule fires on an action, from the little it needs of the person's past, the action included.
// Pure: no clock, no database.
import type { Action, Place } from "./action.ts";
import { parseDecimal } from "./decimal.ts";
import type { PreparedRule, Series } from "./rule-set.ts";

/** An action of a series as it is kept: 0 where the series judges no property. */
export interface KeptAction extends Place {
  readonly amount: bigint;
}

/** A person's past, in all their profiles. */
export interface Past {
  /** The latest `count` of a series, the oldest of them first; fewer where there are no more. */
  latest(series: Series, count: number): readonly KeptAction[];
  /** The sum of a series between two instants, both included. */
  sumBetween(series: Series, fromMs: bigint, toMs: bigint): bigint;
}

/** Invariant: `past` holds the action already. */
export function fires(rule: PreparedRule, action: Action, past: Past): boolean {
  const [own] = rule.past;
  switch (rule.kind) {
    case "threshold":
      return isOver(action.amounts.get(rule.property ?? ""), rule);
    case "rising":
      return own !== undefined && isRising(past.latest(own, rule.count ?? 0), rule.count ?? 0);
    case "consecutive":
      return isRun(rule, past);
    case "window_sum": {
      if (own === undefined) return false;
      const fromMs = action.orderMs - BigInt(rule.windowSeconds ?? 0) * 1000n;
      return isOver(past.sumBetween(own, fromMs, action.orderMs), rule);
    }
  }
}

function isOver(amount: bigint | undefined, { threshold }: PreparedRule): boolean {
  const limit = parseDecimal(threshold ?? "");
  return amount !== undefined && limit !== undefined && amount > limit;
}

function isRising(latest: readonly KeptAction[], count: number): boolean {
  if (latest.length < count) return false;
  return latest.every((action, index) => {
    const before = latest[index - 1];
    return before === undefined || action.amount > before.amount;
  });
}

/** As many of the rule's own as it asks for, and none of the others after the first of them. */
function isRun({ past: [own, ...others], count = 0 }: PreparedRule, past: Past): boolean {
  if (own === undefined) return false;
  const run = past.latest(own, count);
  const [first] = run;
  if (first === undefined || run.length < count) return false;
  return others.every((series) => {
    const last = past.latest(series, 1).at(-1);
    return last === undefined || comparePlaces(last, first) < 0;
  });
}

export function comparePlaces(a: Place, b: Place): number {
  return a.orderMs < b.orderMs ? -1 : a.orderMs > b.orderMs ? 1 : a.arrival - b.arrival;
}
