// What a segment asks of a profile: a typed tree over matchers. Pure data; proto and storage forms live elsewhere.
import type { SegmentId } from "@muster/core";
import type { Predicate } from "../predicates/predicate.ts";
import { type Matcher, matcherOf } from "./matcher.ts";

/**
 * A node is a leaf that reads facts, or combines other nodes. Each new kind needs a case in
 * {@link childrenOf} or {@link matchersOf}, in fact-spec.ts and in evaluate.ts.
 */
export type Rule = AllOf | AnyOf | Not | Leaf;

export type Leaf =
  | Performed
  | PerformedThenNot
  | Sequence
  | TraitMatches
  | InSegment
  | InactiveFor
  | Aggregate
  | Occurrence
  | ActiveDays;

export interface AllOf {
  readonly kind: "all";
  /** At least one. */
  readonly rules: readonly Rule[];
}

export interface AnyOf {
  readonly kind: "any";
  /** At least one. */
  readonly rules: readonly Rule[];
}

export interface Not {
  readonly kind: "not";
  readonly rule: Rule;
}

/** Did something so many times. */
export interface Performed {
  readonly kind: "performed";
  readonly matcher: Matcher;
  readonly count: CountCondition;
  /** Undefined means ever. */
  readonly window: Window | undefined;
}

export interface CountCondition {
  readonly kind: Comparison;
  readonly n: number;
}

export type Comparison = "at_least" | "more_than" | "exactly" | "at_most" | "less_than";

export type Window = LastWindow | BetweenWindow | CalendarDaysWindow;

/** The instants in (now - ms, now]. */
export interface LastWindow {
  readonly kind: "last";
  readonly ms: number;
}

/** The instants in [fromMs, toMs), as far as they are not after now. */
export interface BetweenWindow {
  readonly kind: "between";
  readonly fromMs: number;
  readonly toMs: number;
}

/** Today and the days before it, `days` in all, in a time zone. */
export interface CalendarDaysWindow {
  readonly kind: "calendar_days";
  readonly days: number;
  /** IANA name. */
  readonly timeZone: string;
}

/** Did A, and no B at that instant or later; for `heldForMs` since, where that is not 0. */
export interface PerformedThenNot {
  readonly kind: "performed_then_not";
  readonly matcher: Matcher;
  readonly thenNot: Matcher;
  /** 0 means at once. */
  readonly heldForMs: number;
}

/** Did one after the other, at strictly later instants, the last at most `withinMs` after the first. */
export interface Sequence {
  readonly kind: "sequence";
  /** 2 to 8. */
  readonly steps: readonly Matcher[];
  readonly withinMs: number;
  /** Where the instant of the last step must lie. Undefined: once completed, true for ever. */
  readonly window: Window | undefined;
}

/** The profile's traits are such. */
export interface TraitMatches {
  readonly kind: "trait";
  readonly where: Predicate;
}

export interface InSegment {
  readonly kind: "in_segment";
  readonly segmentId: SegmentId;
}

/** No event of any name in (now - ms, now]; counted from the profile's creation if there is none at all. */
export interface InactiveFor {
  readonly kind: "inactive_for";
  readonly ms: number;
}

/** What the numbers of a property come to. A sum of none is 0; of the others there is none to compare. */
export interface Aggregate {
  readonly kind: "aggregate";
  readonly function: "sum" | "average" | "min" | "max";
  readonly matcher: Matcher;
  /** A property at the top level; events in which it is no number do not count. */
  readonly property: string;
  readonly window: Window | undefined;
  readonly comparison: { readonly kind: Comparison; readonly value: number };
}

/** When something was done for the first or the last time. Without such an event it does not hold. */
export interface Occurrence {
  readonly kind: "occurrence";
  readonly which: "first" | "last";
  readonly matcher: Matcher;
  readonly when: OccurrenceCondition;
}

/** `before` is exclusive and `after` inclusive, so that one of them holds; `within` is (now - ms, now]. */
export type OccurrenceCondition =
  | { readonly kind: "before"; readonly ms: number }
  | { readonly kind: "after"; readonly ms: number }
  | { readonly kind: "within"; readonly ms: number };

/** Did something on at least so many of the last days, today included. */
export interface ActiveDays {
  readonly kind: "active_days";
  readonly matcher: Matcher;
  readonly atLeast: number;
  readonly ofLastDays: number;
  /** IANA name. */
  readonly timeZone: string;
}

const ANY_EVENT = matcherOf(undefined);

/** A matcher as one leaf uses it. */
export interface MatcherUse {
  readonly matcher: Matcher;
  /** How many of the newest instants the leaf must see. */
  readonly depth: number;
}

/** The nodes directly below; of a leaf none. */
export function childrenOf(rule: Rule): readonly Rule[] {
  if (rule.kind === "all" || rule.kind === "any") return rule.rules;
  return rule.kind === "not" ? [rule.rule] : [];
}

/** Every leaf of the tree, from left to right. */
export function leavesOf(rule: Rule): Leaf[] {
  if (rule.kind === "all" || rule.kind === "any" || rule.kind === "not") {
    return childrenOf(rule).flatMap(leavesOf);
  }
  return [rule];
}

/** The segments that the rule refers to, each once. */
export function segmentsIn(rule: Rule): SegmentId[] {
  const ids = leavesOf(rule).map((leaf) => (leaf.kind === "in_segment" ? leaf.segmentId : undefined));
  return [...new Set(ids.filter((id) => id !== undefined))];
}

/** Every matcher that the rule reads; the same one may come more than once. */
export function matchersOf(rule: Rule): MatcherUse[] {
  return leavesOf(rule).flatMap(matchersOfLeaf);
}

function matchersOfLeaf(leaf: Leaf): MatcherUse[] {
  switch (leaf.kind) {
    case "performed":
      return [{ matcher: leaf.matcher, depth: depthOf(leaf) }];
    case "performed_then_not":
      return [
        { matcher: leaf.matcher, depth: 1 },
        { matcher: leaf.thenNot, depth: 1 },
      ];
    case "sequence":
      return leaf.steps.map((matcher) => ({ matcher, depth: 1 }));
    case "inactive_for":
      return [{ matcher: ANY_EVENT, depth: 1 }];
    case "aggregate":
    case "occurrence":
    case "active_days":
      return [{ matcher: leaf.matcher, depth: 1 }];
    case "trait":
    case "in_segment":
      return [];
  }
}

/** Without a window, or with a fixed one, counts decide; the newest instants only say what happened last. */
export function depthOf({ count, window }: Performed): number {
  if (window === undefined || window.kind === "between") return 1;
  return thresholdsOf(count).at(-1) ?? 1;
}

/**
 * The counts at whose reaching the answer turns, in rising order; at least n turns at n, more than n at
 * n + 1, exactly n at both. A threshold of 0 is always reached and left out.
 */
export function thresholdsOf({ kind, n }: CountCondition): number[] {
  switch (kind) {
    case "at_least":
    case "less_than":
      return n > 0 ? [n] : [];
    case "more_than":
    case "at_most":
      return [n + 1];
    case "exactly":
      return n > 0 ? [n, n + 1] : [1];
  }
}

export function compare(kind: Comparison, observed: number, wanted: number): boolean {
  switch (kind) {
    case "at_least":
      return observed >= wanted;
    case "more_than":
      return observed > wanted;
    case "exactly":
      return observed === wanted;
    case "at_most":
      return observed <= wanted;
    case "less_than":
      return observed < wanted;
  }
}
