// Describes rules as English text for explanations. Pure.
import type { Matcher } from "../engine/matcher.ts";
import type { Comparison, Leaf, OccurrenceCondition, Window } from "../engine/rule.ts";

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
export function leafInWords(leaf: Leaf): string {
  switch (leaf.kind) {
    case "performed":
      return `${COMPARISONS[leaf.count.kind]} ${leaf.count.n} × ${matcherInWords(leaf.matcher)} ${windowInWords(leaf.window)}`;
    case "performed_then_not": {
      const held = leaf.heldForMs === 0 ? "" : ` for ${durationInWords(leaf.heldForMs)}`;
      return `${matcherInWords(leaf.matcher)}, then no ${matcherInWords(leaf.thenNot)}${held}`;
    }
    case "sequence": {
      const steps = leaf.steps.map(matcherInWords).join(", then ");
      const window = leaf.window === undefined ? "" : `, completed ${windowInWords(leaf.window)}`;
      return `${steps}, within ${durationInWords(leaf.withinMs)}${window}`;
    }
    case "trait":
      return `traits that match ${leaf.where.source}`;
    case "in_segment":
      return `being in segment ${leaf.segmentId}`;
    case "inactive_for":
      return `no event for ${durationInWords(leaf.ms)}`;
    case "aggregate": {
      const { kind, value } = leaf.comparison;
      const of = `${leaf.function} of ${leaf.property} of ${matcherInWords(leaf.matcher)}`;
      return `${of} ${COMPARISONS[kind]} ${value} ${windowInWords(leaf.window)}`;
    }
    case "occurrence":
      return `${leaf.which} ${matcherInWords(leaf.matcher)} ${occurrenceInWords(leaf.when)}`;
    case "active_days": {
      const days = `at least ${leaf.atLeast} of the last ${leaf.ofLastDays} days (${leaf.timeZone})`;
      return `${matcherInWords(leaf.matcher)} on ${days}`;
    }
  }
}

export function matcherInWords({ eventName, where }: Matcher): string {
  const name = eventName ?? "any event";
  return where === undefined ? name : `${name} where ${where.source}`;
}

function durationInWords(ms: number): string {
  const parts: string[] = [];
  let rest = ms;
  for (const [unit, unitMs] of UNITS) {
    const count = Math.floor(rest / unitMs);
    rest -= count * unitMs;
    if (count > 0) parts.push(`${count} ${unit}`);
  }
  return parts.length === 0 ? "0 ms" : parts.join(" ");
}

export function instantInWords(ms: number): string {
  return new Date(ms).toISOString();
}

function windowInWords(window: Window | undefined): string {
  switch (window?.kind) {
    case undefined:
      return "ever";
    case "last":
      return `in the last ${durationInWords(window.ms)}`;
    case "between":
      return `from ${instantInWords(window.fromMs)} to before ${instantInWords(window.toMs)}`;
    case "calendar_days":
      return `on the last ${window.days} calendar days (${window.timeZone})`;
  }
}

function occurrenceInWords(when: OccurrenceCondition): string {
  if (when.kind === "within") return `in the last ${durationInWords(when.ms)}`;
  return `${when.kind === "before" ? "before" : "not before"} ${instantInWords(when.ms)}`;
}
