// Which rules may hold, now or in time, for a profile that has no event: those are asked of every profile.
import { compare, type Rule } from "./rule.ts";

/** Never says no wrongly. */
export function mayHoldWithoutEvents(rule: Rule): boolean {
  switch (rule.kind) {
    case "all":
      return rule.rules.every(mayHoldWithoutEvents);
    case "any":
      return rule.rules.some(mayHoldWithoutEvents);
    case "not":
    case "trait":
    case "inactive_for":
      return true;
    case "performed":
      return compare(rule.count.kind, 0, rule.count.n);
    case "aggregate":
      return rule.function === "sum" && compare(rule.comparison.kind, 0, rule.comparison.value);
    // When the other segment's answer turns, this one is asked too.
    case "in_segment":
    case "performed_then_not":
    case "sequence":
    case "occurrence":
    case "active_days":
      return false;
  }
}
