// Limits the size of rules.
import { EVALUATION_UNITS_MAX } from "../../predicates/parse/limits.ts";
import type { Predicate } from "../../predicates/predicate.ts";
import { childrenOf, leavesOf, matchersOf, type Rule } from "./rule.ts";

/** Levels of the tree. A single leaf has one level. */
export const RULE_DEPTH_MAX = 8;
const RULE_LEAVES_MAX = 64;
/** The largest count of a leaf with a moving window. Each profile keeps that many instants. */
export const WINDOWED_COUNT_MAX = 1000;
/** The longest duration in a rule: windows, `within`, `held_for` and the like. */
export const SPAN_MS_MAX = 3650 * 86_400_000;
/** The largest window of `active_days`, in days. */
export const ACTIVE_DAYS_MAX = 400;

/**
 * The most units that the predicates of a rule may take on the largest event: 0.7 s. While events are applied,
 * the budget of an event ends the work earlier.
 */
const RULE_UNITS_MAX = 32 * EVALUATION_UNITS_MAX;
/** The same for all rules of an organization: 32 rules at the limit, or 1,000 rules with a costly predicate. */
export const ORGANIZATION_UNITS_MAX = 32 * RULE_UNITS_MAX;

/** Describes the limit that the tree as a whole exceeds; undefined when it exceeds none. */
export function exceededLimit(rule: Rule<string>): string | undefined {
  // The depth is checked first, so that counting leaves never walks a deep tree.
  if (!isWithinDepth(rule, RULE_DEPTH_MAX)) return `has more than ${RULE_DEPTH_MAX} levels`;
  const leaves = leavesOf(rule).length;
  if (leaves > RULE_LEAVES_MAX) return `has ${leaves} leaves, the most is ${RULE_LEAVES_MAX}`;
  const units = worstCaseUnitsOf([rule]);
  if (units <= RULE_UNITS_MAX) return undefined;
  return `has predicates that may take ${units} units of work on one event, the most is ${RULE_UNITS_MAX}`;
}

/** Units that the predicates of these rules may take on one event. Equal predicates count once. */
export function worstCaseUnitsOf(rules: Iterable<Rule<string>>): number {
  const predicates = new Map<string, Predicate>();
  for (const rule of rules) {
    const traits = leavesOf(rule).flatMap((leaf) => (leaf.kind === "trait" ? [leaf.where] : []));
    const events = matchersOf(rule).flatMap(({ matcher }) => matcher.where ?? []);
    for (const predicate of [...traits, ...events]) predicates.set(predicate.key, predicate);
  }
  let units = 0;
  for (const { worstCaseUnits } of predicates.values()) units += worstCaseUnits;
  return units;
}

function isWithinDepth(rule: Rule<string>, levels: number): boolean {
  return levels > 0 && childrenOf(rule).every((child) => isWithinDepth(child, levels - 1));
}
