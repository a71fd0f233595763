// Computes how far back a rule reads events: which retention the rule needs, and whether removed events
// affect it. Pure.
import { childrenOf, type Leaf, leavesOf, type Rule, type Window } from "./rule.ts";
import { spanMsMax } from "./window.ts";

const DAY_MS = 86_400_000;

/** A duration that a rule contains, with the name of its field. */
export interface NamedSpan {
  readonly ms: number;
  /** The path within the rule, such as "all.rules[0].performed.window.last". */
  readonly field: string;
}

/** All durations in the rule. Raw events must be kept at least this long, or the rule cannot be evaluated. */
export function spansOf(rule: Rule<string>): NamedSpan[] {
  switch (rule.kind) {
    case "all":
    case "any":
      return childrenOf(rule).flatMap((child, index) =>
        prefixFields(`${rule.kind}.rules[${index}]`, spansOf(child)),
      );
    case "not":
      return prefixFields("not", spansOf(rule.rule));
    default:
      return prefixFields(rule.kind, spansOfLeaf(rule));
  }
}

function spansOfLeaf(leaf: Leaf<string>): NamedSpan[] {
  switch (leaf.kind) {
    case "performed":
    case "aggregate":
      return spansOfWindow(leaf.window);
    case "performed_then_not":
      return leaf.heldForMs === 0 ? [] : [{ ms: leaf.heldForMs, field: "held_for" }];
    case "sequence":
      // The last step must lie in the window; the first step may lie up to `within` before the last.
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

/** A fixed window moves into the past for ever. Its events are counted while they still exist. */
function spansOfWindow(window: Window | undefined): NamedSpan[] {
  if (window === undefined || window.kind === "between") return [];
  const field = window.kind === "last" ? "window.last" : "window.calendar_days.days";
  return [{ ms: spanMsMax(window), field }];
}

/** An upper bound for days of any length, including changes of daylight saving time. */
function daysMsMax(days: number): number {
  return spanMsMax({ kind: "calendar_days", days, timeZone: "UTC" });
}

/** How long an event can affect the leaf; undefined: for ever. */
function lookbackMs(leaf: Leaf<string>): number | undefined {
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
      return isMoving ? longestMs(spansOfLeaf(leaf)) : undefined;
    }
    case "inactive_for":
    case "active_days":
      return longestMs(spansOfLeaf(leaf));
  }
}

/** Whether the leaf's result at `nowMs` may depend on events before `completeSinceMs`. */
export function readsEventsBefore(leaf: Leaf<string>, completeSinceMs: number, nowMs: number): boolean {
  const ms = lookbackMs(leaf);
  return ms === undefined || nowMs - ms < completeSinceMs;
}

/** Like {@link readsEventsBefore} for a whole rule. `ruleOf` returns the rules of referenced segments. */
export function ruleReadsEventsBefore(
  rule: Rule<string>,
  completeSinceMs: number,
  nowMs: number,
  ruleOf: (segmentId: string) => Rule<string> | undefined,
): boolean {
  if (completeSinceMs <= 0) return false;
  const rules = new Set([rule]);
  // The loop also visits rules that are added to the set meanwhile.
  for (const one of rules) {
    for (const leaf of leavesOf(one)) {
      if (readsEventsBefore(leaf, completeSinceMs, nowMs)) return true;
      const named = leaf.kind === "in_segment" ? ruleOf(leaf.segmentId) : undefined;
      if (named !== undefined) rules.add(named);
    }
  }
  return false;
}

/** The durations longer than `days` days of 24 hours; 0 means unlimited retention. */
export function spansLongerThan(rule: Rule<string>, days: number): NamedSpan[] {
  return days === 0 ? [] : spansOf(rule).filter(({ ms }) => ms > days * DAY_MS);
}

function longestMs(spans: readonly NamedSpan[]): number {
  return Math.max(0, ...spans.map(({ ms }) => ms));
}

function prefixFields(path: string, spans: readonly NamedSpan[]): NamedSpan[] {
  return spans.map(({ ms, field }) => ({ ms, field: `${path}.${field}` }));
}
