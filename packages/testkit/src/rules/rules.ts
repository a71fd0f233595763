// Builds rules that combine other rules, and rules without a comparison. Pure.
import { type DurationText, duration, type RuleInit } from "./rule-init.ts";

export function all(...rules: readonly RuleInit[]): RuleInit {
  return { kind: { case: "all", value: { rules: [...rules] } } };
}

export function any(...rules: readonly RuleInit[]): RuleInit {
  return { kind: { case: "any", value: { rules: [...rules] } } };
}

export function not(rule: RuleInit): RuleInit {
  return { kind: { case: "not", value: rule } };
}

/** A predicate about traits, such as `traits.plan == "gold"`. */
export function trait(where: string): RuleInit {
  return { kind: { case: "trait", value: { where } } };
}

/** The id or the slug of a segment. */
export function inSegment(segmentId: string): RuleInit {
  return { kind: { case: "inSegment", value: { segmentId } } };
}

export function inactiveFor(text: DurationText): RuleInit {
  return { kind: { case: "inactiveFor", value: { duration: duration(text) } } };
}

export function performedThenNot(
  eventName: string,
  thenNotEventName: string,
  heldFor?: DurationText,
): RuleInit {
  const value = { eventName, thenNotEventName, ...(heldFor && { heldFor: duration(heldFor) }) };
  return { kind: { case: "performedThenNot", value } };
}

/** Events of these names in this order. */
export function sequence(eventNames: readonly string[], within: DurationText): RuleInit {
  const steps = eventNames.map((eventName) => ({ eventName }));
  return { kind: { case: "sequence", value: { steps, within: duration(within) } } };
}

export function activeDays(atLeast: number, ofLastDays: number, timeZone: string): RuleInit {
  return { kind: { case: "activeDays", value: { atLeast, ofLastDays, timeZone } } };
}
