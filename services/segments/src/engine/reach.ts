// How far back a rule looks: what it asks of those who keep raw events, and what these can still prove. Pure.
import { childrenOf, type Leaf, leavesOf, type Rule, type Window } from "./rule.ts";
import { spanMsMax } from "./window.ts";

const DAY_MS = 86_400_000;

/** A time that a rule names, and the field that names it. */
export interface NamedSpan {
  readonly ms: number;
  /** Of the rule, such as "all.rules[0].performed.window.last". */
  readonly field: string;
}

/** All the times that the rule names: events that are kept for less would leave it without an answer. */
export function spansOf(rule: Rule): NamedSpan[] {
  switch (rule.kind) {
    case "all":
    case "any":
      return childrenOf(rule).flatMap((child, index) =>
        below(`${rule.kind}.rules[${index}]`, spansOf(child)),
      );
    case "not":
      return below("not", spansOf(rule.rule));
    default:
      return below(rule.kind, spansOfLeaf(rule));
  }
}

function spansOfLeaf(leaf: Leaf): NamedSpan[] {
  switch (leaf.kind) {
    case "performed":
    case "aggregate":
      return spansOfWindow(leaf.window);
    case "performed_then_not":
      return leaf.heldForMs === 0 ? [] : [{ ms: leaf.heldForMs, field: "held_for" }];
    case "sequence":
      // Its last step must lie in the window, and its first may lie `within` before that.
      return [
        { ms: leaf.withinMs, field: "within" },
        ...spansOfWindow(leaf.window).map(({ ms, field }) => ({ ms: ms + leaf.withinMs, field })),
      ];
    case "inactive_for":
      return [{ ms: leaf.ms, field: "duration" }];
    case "occurrence":
      return leaf.when.kind === "within" ? [{ ms: leaf.when.ms, field: "within" }] : [];
    case "active_days":
      return [{ ms: daysMsMax(leaf.ofLastDays), field: "of_last_days" }];
    case "trait":
    case "in_segment":
      return [];
  }
}

/** One of fixed bounds moves away from now for ever: events are counted into it while they are there. */
function spansOfWindow(window: Window | undefined): NamedSpan[] {
  if (window === undefined || window.kind === "between") return [];
  const field = window.kind === "last" ? "window.last" : "window.calendar_days.days";
  return [{ ms: spanMsMax(window), field }];
}

/** No event counts for longer, whatever clocks do. */
function daysMsMax(days: number): number {
  return spanMsMax({ kind: "calendar_days", days, timeZone: "UTC" });
}

/** How long an event can make a difference to the leaf; undefined: for ever. */
function reachOf(leaf: Leaf): number | undefined {
  switch (leaf.kind) {
    case "trait":
    case "in_segment":
      return 0;
    case "performed_then_not":
      return undefined;
    case "occurrence":
      return leaf.which === "last" && leaf.when.kind === "within" ? leaf.when.ms : undefined;
    case "sequence":
    case "performed":
    case "aggregate": {
      const isMoving = leaf.window !== undefined && leaf.window.kind !== "between";
      return isMoving ? longest(spansOfLeaf(leaf)) : undefined;
    }
    case "inactive_for":
    case "active_days":
      return longest(spansOfLeaf(leaf));
  }
}

/** Whether the leaf's answer at `nowMs` may rest on what happened before `completeSinceMs`. */
export function reachesBehind(leaf: Leaf, completeSinceMs: number, nowMs: number): boolean {
  const ms = reachOf(leaf);
  return ms === undefined || nowMs - ms < completeSinceMs;
}

/** The same of a whole rule; `ruleOf` finds the rules of segments that it names. */
export function ruleReachesBehind(
  rule: Rule,
  completeSinceMs: number,
  nowMs: number,
  ruleOf: (segmentId: string) => Rule | undefined,
): boolean {
  if (completeSinceMs <= 0) return false;
  const rules = new Set([rule]);
  // A set grows while it is walked.
  for (const one of rules) {
    for (const leaf of leavesOf(one)) {
      if (reachesBehind(leaf, completeSinceMs, nowMs)) return true;
      const named = leaf.kind === "in_segment" ? ruleOf(leaf.segmentId) : undefined;
      if (named !== undefined) rules.add(named);
    }
  }
  return false;
}

/** Spans that are longer than so many days of 24 hours; 0 means for ever. */
export function longerThan(rule: Rule, days: number): NamedSpan[] {
  return days === 0 ? [] : spansOf(rule).filter(({ ms }) => ms > days * DAY_MS);
}

function longest(spans: readonly NamedSpan[]): number {
  return Math.max(0, ...spans.map(({ ms }) => ms));
}

function below(path: string, spans: readonly NamedSpan[]): NamedSpan[] {
  return spans.map(({ ms, field }) => ({ ms, field: `${path}.${field}` }));
}
