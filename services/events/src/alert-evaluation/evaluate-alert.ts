// Evaluates an alert rule on an action and the history of the person, which includes the action. Pure: no
// clock, no database.
import { compareActionOrder, type HistoryAction } from "../alert-history/history-action.ts";
import { parseDecimal } from "../alert-rules/decimal.ts";
import type { PreparedRule, Series } from "../alert-rules/rule-set.ts";
import type { Action } from "./action.ts";

/** The alert history of a person, over all profiles. */
export interface HistoryReader {
  /** Returns the latest `count` actions of a series, oldest first; fewer when the series is shorter. */
  latest(series: Series, count: number): readonly HistoryAction[];
  /** Returns the sum of a series between two instants, both included. */
  sumBetween(series: Series, fromMs: bigint, toMs: bigint): bigint;
}

/** Invariant: `history` already contains the action. */
export function matches(rule: PreparedRule, action: Action, history: HistoryReader): boolean {
  const [ownSeries] = rule.neededSeries;
  switch (rule.kind) {
    case "threshold":
      return isOver(action.amounts.get(rule.property ?? ""), rule);
    case "rising":
      return ownSeries !== undefined && isRising(history.latest(ownSeries, rule.count ?? 0), rule.count ?? 0);
    case "consecutive":
      return isRun(rule, history);
    case "window_sum": {
      if (ownSeries === undefined) return false;
      const fromMs = action.orderMs - BigInt(rule.windowSeconds ?? 0) * 1000n;
      return isOver(history.sumBetween(ownSeries, fromMs, action.orderMs), rule);
    }
  }
}

function isOver(amount: bigint | undefined, { threshold }: PreparedRule): boolean {
  const limit = parseDecimal(threshold ?? "");
  return amount !== undefined && limit !== undefined && amount > limit;
}

function isRising(latest: readonly HistoryAction[], count: number): boolean {
  if (latest.length < count) return false;
  return latest.every((action, index) => {
    const before = latest[index - 1];
    return before === undefined || action.amount > before.amount;
  });
}

/**
 * Matches when the latest `count` actions have the first event name and no action of another name follows the
 * first of them.
 */
function isRun(
  { neededSeries: [ownSeries, ...others], count = 0 }: PreparedRule,
  history: HistoryReader,
): boolean {
  if (ownSeries === undefined) return false;
  const run = history.latest(ownSeries, count);
  const [first] = run;
  if (first === undefined || run.length < count) return false;
  return others.every((series) => {
    const last = history.latest(series, 1).at(-1);
    return last === undefined || compareActionOrder(last, first) < 0;
  });
}
