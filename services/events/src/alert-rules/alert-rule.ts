// Defines alert rules, the fields that each kind requires, and the four default rules. Pure.
import { hash } from "node:crypto";
import { type OrganizationId, uuidV7 } from "@muster/core";
import { AppError, type FieldError } from "@muster/errors";
import { parseDecimal } from "./decimal.ts";

/** The number of rules in an organization. */
export const RULES_MAX = 100;
/** The `count` of a rule. */
export const COUNT_MAX = 100;

/** The stored number of each kind. Invariant: a number never changes, because stored rows contain it. */
export const ruleKindNumbers = { threshold: 1, consecutive: 2, rising: 3, window_sum: 4 } as const;
/** The kinds of rules, by the names in REST. */
export type RuleKind = keyof typeof ruleKindNumbers;

/** A rule as stored or as a default; `checkRule` validates the fields of each kind. */
export interface AlertRule {
  /** A UUID. */
  readonly id: string;
  readonly code: number;
  readonly name: string;
  readonly kind: RuleKind;
  /** Events of this name trigger an evaluation of the rule. */
  readonly eventName: string;
  /** Used by `consecutive`: events of these names interrupt a run. */
  readonly otherEventNames: readonly string[];
  readonly property: string | undefined;
  /** A decimal as the caller wrote it. */
  readonly threshold: string | undefined;
  readonly count: number | undefined;
  readonly windowSeconds: number | undefined;
  readonly isEnabled: boolean;
  /** Starts at 1, and increments with every change. */
  readonly version: number;
  /** Undefined for the default rules. */
  readonly createMs: number | undefined;
  readonly updateMs: number | undefined;
}

type Setting = "property" | "threshold" | "count" | "windowSeconds";

const fieldNames: Readonly<Record<Setting, string>> = {
  property: "property",
  threshold: "threshold",
  count: "count",
  windowSeconds: "window_seconds",
};

const settingsOf: Readonly<
  Record<RuleKind, { readonly required: readonly Setting[]; readonly optional: readonly Setting[] }>
> = {
  threshold: { required: ["property", "threshold"], optional: [] },
  // Without a property, every event of the named kinds counts.
  consecutive: { required: ["count"], optional: ["property"] },
  rising: { required: ["property", "count"], optional: [] },
  window_sum: { required: ["property", "threshold", "windowSeconds"], optional: [] },
};

/** Throws FIELD_INVALID with each field that the kind of the rule requires or does not accept. */
export function checkRule(rule: AlertRule, fieldPrefix: string): void {
  const fields: FieldError[] = [];
  const add = (field: string, message: string): void =>
    void fields.push({ field: `${fieldPrefix}${field}`, message });
  const { required, optional } = settingsOf[rule.kind];
  for (const [setting, field] of Object.entries(fieldNames) as [Setting, string][]) {
    const isSet = rule[setting] !== undefined;
    if (!isSet && required.includes(setting)) add(field, `is required for ${rule.kind}`);
    if (isSet && !required.includes(setting) && !optional.includes(setting)) {
      add(field, `does not belong to ${rule.kind}`);
    }
  }
  if (rule.kind === "rising" && rule.count === 1) add("count", "must be at least 2 for rising");
  if (rule.threshold !== undefined && parseDecimal(rule.threshold) === undefined) {
    add("threshold", "must be a decimal number of at most 30 digits and 10 after the dot");
  }
  if (rule.otherEventNames.length > 0 && rule.kind !== "consecutive") {
    add("other_event_names", `does not belong to ${rule.kind}`);
  }
  const names = [rule.eventName, ...rule.otherEventNames];
  if (new Set(names).size < names.length) add("other_event_names", "must not repeat a name");
  const texts = { name: [rule.name], event_name: [rule.eventName], other_event_names: rule.otherEventNames };
  for (const [field, values] of Object.entries({ ...texts, property: [rule.property ?? ""] })) {
    if (!values.every((value) => value.isWellFormed())) add(field, "must be valid Unicode");
  }
  const [first] = fields;
  if (first !== undefined) {
    throw new AppError("FIELD_INVALID", { message: `${first.field}: ${first.message}`, fields });
  }
}

/** Returns the rules of an organization that never changed a rule. */
export function defaultRules(organizationId: OrganizationId): AlertRule[] {
  const amount = {
    property: "amount",
    isEnabled: true,
    version: 1,
    createMs: undefined,
    updateMs: undefined,
  };
  const none = { otherEventNames: [], threshold: undefined, count: undefined, windowSeconds: undefined };
  const rules: Omit<AlertRule, "id">[] = [
    {
      ...amount,
      ...none,
      code: 30,
      name: "Three withdrawals in a row",
      kind: "consecutive",
      eventName: "withdraw",
      otherEventNames: ["deposit"],
      count: 3,
    },
    {
      ...amount,
      ...none,
      code: 123,
      name: "Deposits over 200 within 30 seconds",
      kind: "window_sum",
      eventName: "deposit",
      threshold: "200",
      windowSeconds: 30,
    },
    {
      ...amount,
      ...none,
      code: 300,
      name: "Three rising deposits in a row",
      kind: "rising",
      eventName: "deposit",
      count: 3,
    },
    {
      ...amount,
      ...none,
      code: 1100,
      name: "A withdrawal over 100",
      kind: "threshold",
      eventName: "withdraw",
      threshold: "100",
    },
  ];
  return rules.map((rule) => ({ ...rule, id: defaultRuleId(organizationId, rule.code) }));
}

/** Returns a stable id, so that a default rule keeps the id when the rules become rows. */
function defaultRuleId(organizationId: OrganizationId, code: number): string {
  return uuidV7(0, hash("sha256", `alert-rule/${organizationId}/${code}`, "buffer"));
}
