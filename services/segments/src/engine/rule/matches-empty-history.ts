// Decides which rules may match, now or later, a profile without events. Those rules are evaluated for every
// profile.
import { compare, type Rule } from "./rule.ts";

/** May return true wrongly, but never false wrongly. */
export function mayMatchEmptyHistory(rule: Rule<string>): boolean {
  switch (rule.kind) {
    case "all":
      return rule.rules.every(mayMatchEmptyHistory);
    case "any":
      return rule.rules.some(mayMatchEmptyHistory);
    case "not":
    case "trait":
    case "inactive_for":
      return true;
    case "performed":
      return compare(rule.count.kind, 0, rule.count.n);
    case "aggregate":
      return rule.function === "sum" && compare(rule.comparison.kind, 0, rule.comparison.value);
    // This rule is evaluated again when the referenced segment's result changes.
    case "in_segment":
    case "performed_then_not":
    case "sequence":
    case "occurrence":
    case "active_days":
      return false;
  }
}
