// Describes rules as English text for explanations. Pure.
import type { Matcher } from "../engine/rule/matcher.ts";
import type { Comparison, Leaf, OccurrenceCondition, Window } from "../engine/rule/rule.ts";

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;

const COMPARISONS: Readonly<Record<Comparison, string>> = {
  at_least: "at least",
  more_than: "more than",
  exactly: "exactly",
  at_most: "at most",
  less_than: "less than",
};

/** Describes the condition of a leaf. */
export function describeLeaf(leaf: Leaf<string>): string {
  switch (leaf.kind) {
    case "performed":
      return `${COMPARISONS[leaf.count.kind]} ${leaf.count.n} × ${describeMatcher(leaf.matcher)} ${describeWindow(leaf.window)}`;
    case "performed_then_not": {
      const held = leaf.heldForMs === 0 ? "" : ` for ${formatDuration(leaf.heldForMs)}`;
      return `${describeMatcher(leaf.matcher)}, then no ${describeMatcher(leaf.thenNot)}${held}`;
    }
    case "sequence": {
      const steps = leaf.steps.map(describeMatcher).join(", then ");
      const window = leaf.window === undefined ? "" : `, completed ${describeWindow(leaf.window)}`;
      return `${steps}, each later than the one before, within ${formatDuration(leaf.withinMs)}${window}`;
    }
    case "trait":
      return `traits that match ${leaf.where.source}`;
    case "in_segment":
      return `being in segment ${leaf.segmentId}`;
    case "inactive_for":
      return `no event for ${formatDuration(leaf.ms)}`;
    case "aggregate": {
      const { kind, value } = leaf.comparison;
      const of = `${leaf.function} of ${leaf.property} of ${describeMatcher(leaf.matcher)}`;
      return `${of} ${COMPARISONS[kind]} ${value} ${describeWindow(leaf.window)}`;
    }
    case "occurrence":
      return `${leaf.which} ${describeMatcher(leaf.matcher)} ${describeOccurrence(leaf.when)}`;
    case "active_days": {
      const days = `at least ${leaf.atLeast} of the last ${leaf.ofLastDays} days (${leaf.timeZone})`;
      return `${describeMatcher(leaf.matcher)} on ${days}`;
    }
  }
}

export function describeMatcher({ eventName, where }: Matcher): string {
  const name = eventName ?? "any event";
  return where === undefined ? name : `${name} where ${where.source}`;
}

function formatDuration(ms: number): string {
  const parts: string[] = [];
  let rest = ms;
  for (const [unit, unitMs] of UNITS) {
    const count = Math.floor(rest / unitMs);
    rest -= count * unitMs;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.length === 0 ? "0 ms" : parts.join(" ");
}

export function formatInstant(ms: number): string {
  return new Date(ms).toISOString();
}

function describeWindow(window: Window | undefined): string {
  switch (window?.kind) {
    case undefined:
      return "ever";
    case "last":
      return `in the last ${formatDuration(window.ms)}`;
    case "between":
      return `from ${formatInstant(window.fromMs)} to before ${formatInstant(window.toMs)}`;
    case "calendar_days":
      return `on the last ${window.days} calendar days (${window.timeZone})`;
  }
}

function describeOccurrence(when: OccurrenceCondition): string {
  if (when.kind === "within") return `in the last ${formatDuration(when.ms)}`;
  return `${when.kind === "before" ? "before" : "not before"} ${formatInstant(when.ms)}`;
}
