// Limits the size of rules.
import { childrenOf, leavesOf, type Rule } from "./rule.ts";

/** Levels of the tree. A single leaf has one level. */
export const RULE_DEPTH_MAX = 8;
const RULE_LEAVES_MAX = 64;
/** The largest count of a leaf with a moving window. Each profile keeps that many instants. */
export const WINDOWED_COUNT_MAX = 1000;
/** The longest duration in a rule: windows, `within`, `held_for` and the like. */
export const SPAN_MS_MAX = 3650 * 86_400_000;
/** The largest window of `active_days`, in days. */
export const ACTIVE_DAYS_MAX = 400;

/** Describes the limit that the tree as a whole exceeds; undefined when it exceeds none. */
export function exceededLimit(rule: Rule<string>): string | undefined {
  // The depth is checked first, so that counting leaves never walks a deep tree.
  if (!isWithinDepth(rule, RULE_DEPTH_MAX)) return `has more than ${RULE_DEPTH_MAX} levels`;
  const leaves = leavesOf(rule).length;
  return leaves > RULE_LEAVES_MAX ? `has ${leaves} leaves, the most is ${RULE_LEAVES_MAX}` : undefined;
}

function isWithinDepth(rule: Rule<string>, levels: number): boolean {
  return levels > 0 && childrenOf(rule).every((child) => isWithinDepth(child, levels - 1));
}
