// Rejects rules that look back further than the organization keeps raw events.
import { invalidField } from "@muster/errors";
import { spansLongerThan } from "../engine/rule/lookback.ts";
import type { Rule } from "../engine/rule/rule.ts";

/**
 * Throws FIELD_INVALID with the window if the rule looks back further. `rulePath` is the path of the rule in
 * the request: a field named `rule`, or a field of the short form.
 */
export function rejectLongWindow(rule: Rule, rawEventDays: number, rulePath: string): void {
  const [tooLong] = spansLongerThan(rule, rawEventDays);
  if (tooLong === undefined) return;
  const isShortForm = !rulePath.endsWith("rule");
  const path = isShortForm ? rulePath.replace(/\w+$/, "within_days") : `${rulePath}.${tooLong.field}`;
  const days = `${rawEventDays} ${rawEventDays === 1 ? "day" : "days"}`;
  throw invalidField(path, `looks back further than the ${days} that the organization keeps raw events`);
}
