// Checks shared by the RPCs that change the alert rules of an organization.
import { AppError } from "@muster/errors";
import type { AlertRule } from "./alert-rule.ts";
import type { RuleSet } from "./rule-set.ts";

/** Throws ALERT_RULE_NOT_FOUND when the set has no such rule. */
export function requireRule({ rules }: RuleSet, id: string): AlertRule {
  const rule = rules.find((one) => one.id === id);
  if (rule === undefined) throw new AppError("ALERT_RULE_NOT_FOUND");
  return rule;
}

/** Throws ALERT_RULE_CODE_TAKEN when another rule has the code. */
export function rejectTakenCode({ rules }: RuleSet, rule: AlertRule, fieldPrefix: string): void {
  if (!rules.some(({ id, code }) => code === rule.code && id !== rule.id)) return;
  throw new AppError("ALERT_RULE_CODE_TAKEN", {
    fields: [{ field: `${fieldPrefix}code`, message: "another rule has this code" }],
  });
}
