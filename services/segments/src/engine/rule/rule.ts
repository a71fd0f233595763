// Defines rules: typed trees whose leaves count events by matchers. Pure data; other files convert proto and
// storage forms.
import type { EvaluationId, SegmentId } from "@muster/core";
import type { Predicate } from "../../predicates/predicate.ts";
import { type Matcher, matcherOf } from "./matcher.ts";

/**
 * A node is a leaf that reads facts, or it combines other nodes. Each new kind needs a case in {@link
 * childrenOf} or {@link matchersOf}, in fact-spec.ts and in evaluate.ts.
 */
export type Rule<Id extends string = SegmentId> = AllOf<Id> | AnyOf<Id> | Not<Id> | Leaf<Id>;

/** A rule that refers to evaluations instead of segments, ready to be evaluated. */
export type EvaluatedRule = Rule<EvaluationId>;

export type Leaf<Id extends string = SegmentId> =
  | Performed
  | PerformedThenNot
  | Sequence
  | TraitMatches
  | InSegment<Id>
  | InactiveFor
  | Aggregate
  | Occurrence
  | ActiveDays;

export interface AllOf<Id extends string = SegmentId> {
  readonly kind: "all";
  /** At least one rule. */
  readonly rules: readonly Rule<Id>[];
}

export interface AnyOf<Id extends string = SegmentId> {
  readonly kind: "any";
  /** At least one rule. */
  readonly rules: readonly Rule<Id>[];
}

export interface Not<Id extends string = SegmentId> {
  readonly kind: "not";
  readonly rule: Rule<Id>;
}

/** The number of matching events in the window compares as in `count`. */
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

/** The instants in [fromMs, toMs), up to now. */
export interface BetweenWindow {
  readonly kind: "between";
  readonly fromMs: number;
  readonly toMs: number;
}

/** Today and the days before, `days` in all, in a time zone. */
export interface CalendarDaysWindow {
  readonly kind: "calendar_days";
  readonly days: number;
  /** IANA name. */
  readonly timeZone: string;
}

/** Some A is at least `heldForMs` old, and no B happened at its instant or later. */
export interface PerformedThenNot {
  readonly kind: "performed_then_not";
  readonly matcher: Matcher;
  readonly thenNot: Matcher;
  /** 0 means at once. */
  readonly heldForMs: number;
}

/** The steps happened at strictly increasing instants, the last at most `withinMs` after the first. */
export interface Sequence {
  readonly kind: "sequence";
  /** 2 to 8. */
  readonly steps: readonly Matcher[];
  readonly withinMs: number;
  /** Where the instant of the last step must lie. Undefined: a completed sequence holds for ever. */
  readonly window: Window | undefined;
}

/** The profile's traits match a predicate. */
export interface TraitMatches {
  readonly kind: "trait";
  readonly where: Predicate;
}

/** The profile is in another segment, named by its id, or by the id of its evaluation. */
export interface InSegment<Id extends string = SegmentId> {
  readonly kind: "in_segment";
  readonly segmentId: Id;
}

/** No event of any name in (now - ms, now]. Without any event, the profile's creation counts instead. */
export interface InactiveFor {
  readonly kind: "inactive_for";
  readonly ms: number;
}

/**
 * Compares the sum, average, minimum or maximum of a property. The sum of no numbers is 0; the other
 * functions of no numbers never hold.
 */
export interface Aggregate {
  readonly kind: "aggregate";
  readonly function: "sum" | "average" | "min" | "max";
  readonly matcher: Matcher;
  /** A top-level property. Events without a numeric value do not count. */
  readonly property: string;
  readonly window: Window | undefined;
  readonly comparison: { readonly kind: Comparison; readonly value: number };
}

/** Compares the first or last matching event. Never holds without such an event. */
export interface Occurrence {
  readonly kind: "occurrence";
  readonly which: "first" | "last";
  readonly matcher: Matcher;
  readonly when: OccurrenceCondition;
}

/** `before` is exclusive and `after` inclusive, so exactly one of both holds. `within` is (now - ms, now]. */
export type OccurrenceCondition =
  | { readonly kind: "before"; readonly ms: number }
  | { readonly kind: "after"; readonly ms: number }
  | { readonly kind: "within"; readonly ms: number };

/** Matching events happened on at least `atLeast` of the last `ofLastDays` days, today included. */
export interface ActiveDays {
  readonly kind: "active_days";
  readonly matcher: Matcher;
  readonly atLeast: number;
  readonly ofLastDays: number;
  /** IANA name. */
  readonly timeZone: string;
}

const ANY_EVENT = matcherOf(undefined);

/** A matcher and how a leaf uses it. */
export interface MatcherUse {
  readonly matcher: Matcher;
  /** Number of newest instants that the leaf reads. */
  readonly depth: number;
}

/** The direct children of a node; empty for a leaf. */
export function childrenOf<Id extends string>(rule: Rule<Id>): readonly Rule<Id>[] {
  if (rule.kind === "all" || rule.kind === "any") return rule.rules;
  return rule.kind === "not" ? [rule.rule] : [];
}

/** Every leaf of the tree, from left to right. */
export function leavesOf<Id extends string>(rule: Rule<Id>): Leaf<Id>[] {
  if (rule.kind === "all" || rule.kind === "any" || rule.kind === "not") {
    return childrenOf(rule).flatMap((child) => leavesOf(child));
  }
  return [rule];
}

/** The segments that the rule refers to, without duplicates. */
export function segmentsIn<Id extends string>(rule: Rule<Id>): Id[] {
  const ids = leavesOf(rule).map((leaf) => (leaf.kind === "in_segment" ? leaf.segmentId : undefined));
  return [...new Set(ids.filter((id) => id !== undefined))];
}

/** Every matcher that the rule reads, possibly with duplicates. */
export function matchersOf(rule: Rule<string>): MatcherUse[] {
  return leavesOf(rule).flatMap(matchersOfLeaf);
}

function matchersOfLeaf(leaf: Leaf<string>): MatcherUse[] {
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

/** Without a moving window the total decides, and the newest instant only serves explanations. */
export function depthOf({ count, window }: Performed): number {
  if (window === undefined || window.kind === "between") return 1;
  return thresholdsOf(count).at(-1) ?? 1;
}

/**
 * The counts at which the result changes, in rising order. At least n changes at n, more than n at n + 1,
 * exactly n at both. The threshold 0 is always reached and therefore left out.
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
