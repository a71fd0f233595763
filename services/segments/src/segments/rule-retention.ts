// A rule may look back no further than the organisation keeps raw events.
import { invalidField } from "@muster/errors";
import { longerThan } from "../engine/reach.ts";
import type { Rule } from "../engine/rule.ts";

/**
 * FIELD_INVALID naming the window, where the rule looks back further. `rulePath` is where the rule stands in the
 * request: a field named `rule`, or one of the short form.
 */
export function refuseLongWindow(rule: Rule, rawEventDays: number, rulePath: string): void {
  const [tooLong] = longerThan(rule, rawEventDays);
  if (tooLong === undefined) return;
  const isShortForm = !rulePath.endsWith("rule");
  const path = isShortForm ? rulePath.replace(/\w+$/, "within_days") : `${rulePath}.${tooLong.field}`;
  const days = `${rawEventDays} ${rawEventDays === 1 ? "day" : "days"}`;
  throw invalidField(path, `looks back further than the ${days} that the organisation keeps raw events`);
}
