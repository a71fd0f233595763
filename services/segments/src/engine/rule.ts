// What a segment asks of a profile: a typed tree over matchers. Pure data; proto and storage forms live elsewhere.
import type { Matcher } from "./matcher.ts";

/**
 * A node is a leaf that reads the facts of matchers, or combines other nodes. Each new kind needs a
 * case in {@link matchersOf} and in evaluate.ts; nothing else looks inside a rule.
 */
export type Rule = Performed | PerformedThenNot;

/** Did something often enough. */
export interface Performed {
  readonly kind: "performed";
  readonly matcher: Matcher;
  readonly count: CountCondition;
  /** Undefined means ever. */
  readonly window: Window | undefined;
}

export interface CountCondition {
  readonly kind: "at_least";
  readonly n: number;
}

/** The instants in (now - ms, now]. */
export interface Window {
  readonly kind: "last";
  readonly ms: number;
}

/** Did A, and no B at that instant or later. */
export interface PerformedThenNot {
  readonly kind: "performed_then_not";
  readonly matcher: Matcher;
  readonly thenNot: Matcher;
}

/** The largest count a windowed leaf may ask for: that many instants are kept for each profile. */
export const WINDOWED_COUNT_MAX = 1000;

/** A matcher as one leaf uses it. */
export interface MatcherUse {
  readonly matcher: Matcher;
  /** How many of the newest instants the leaf must see. */
  readonly depth: number;
}

/** Every matcher that the rule reads; the same one may come more than once. */
export function matchersOf(rule: Rule): MatcherUse[] {
  switch (rule.kind) {
    case "performed":
      // Without a window the total decides; the newest instant only says what happened last.
      return [{ matcher: rule.matcher, depth: rule.window === undefined ? 1 : rule.count.n }];
    case "performed_then_not":
      return [
        { matcher: rule.matcher, depth: 1 },
        { matcher: rule.thenNot, depth: 1 },
      ];
  }
}
