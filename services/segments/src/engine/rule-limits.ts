// How large a rule may be.
import { childrenOf, leavesOf, type Rule } from "./rule.ts";

/** Levels of the tree; a leaf alone is one. */
export const RULE_DEPTH_MAX = 8;
const RULE_LEAVES_MAX = 64;
/** The largest count a leaf with a moving window may ask for: that many instants are kept for each profile. */
export const WINDOWED_COUNT_MAX = 1000;
/** Of windows and of the times that sequences, absences and the like may take. */
export const SPAN_MS_MAX = 3650 * 86_400_000;
/** Days back that days of activity are kept. */
export const ACTIVE_DAYS_MAX = 400;

/** What is too large about the tree as a whole; undefined when nothing is. */
export function excessOf(rule: Rule): string | undefined {
  // Levels first: what is deep is not walked to its end.
  if (!isWithinDepth(rule, RULE_DEPTH_MAX)) return `has more than ${RULE_DEPTH_MAX} levels`;
  const leaves = leavesOf(rule).length;
  return leaves > RULE_LEAVES_MAX ? `has ${leaves} leaves, the most is ${RULE_LEAVES_MAX}` : undefined;
}

function isWithinDepth(rule: Rule, levels: number): boolean {
  return levels > 0 && childrenOf(rule).every((child) => isWithinDepth(child, levels - 1));
}
