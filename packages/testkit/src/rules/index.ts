// Builders of segment rules for tests, such as performed("viewed").atLeast(2).within("1d").
export { first, performed, sum } from "./counted-rules.ts";
export type { DurationText, RuleInit } from "./rule-init.ts";
export {
  activeDays,
  all,
  any,
  inactiveFor,
  inSegment,
  not,
  performedThenNot,
  sequence,
  trait,
} from "./rules.ts";
