// Converts alert rules to messages, and rule kinds from messages.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AlertRuleKind, type AlertRuleSchema } from "@muster/contracts/muster/events/v1/alert_pb";
import type { AlertRule, RuleKind } from "./alert-rule.ts";
import { historyStartMs, type SeriesStarts } from "./rule-set.ts";

const protoKinds: Readonly<Record<RuleKind, AlertRuleKind>> = {
  threshold: AlertRuleKind.THRESHOLD,
  consecutive: AlertRuleKind.CONSECUTIVE,
  rising: AlertRuleKind.RISING,
  window_sum: AlertRuleKind.WINDOW_SUM,
};

/** Undefined when the value is not a rule kind. */
export function kindFromProto(kind: AlertRuleKind): RuleKind | undefined {
  const found = Object.entries(protoKinds).find(([, number]) => number === kind);
  return found?.[0] as RuleKind | undefined;
}

/** `since` are the series starts of the rule set that contains the rule. */
export function ruleToProto(
  rule: AlertRule,
  seriesStarts: SeriesStarts,
): MessageInitShape<typeof AlertRuleSchema> {
  const countsSinceMs = historyStartMs(rule, seriesStarts);
  return {
    id: rule.id,
    code: rule.code,
    name: rule.name,
    kind: protoKinds[rule.kind],
    eventName: rule.eventName,
    otherEventNames: [...rule.otherEventNames],
    ...(rule.property !== undefined && { property: rule.property }),
    ...(rule.threshold !== undefined && { threshold: rule.threshold }),
    ...(rule.count !== undefined && { count: rule.count }),
    ...(rule.windowSeconds !== undefined && { windowSeconds: rule.windowSeconds }),
    enabled: rule.isEnabled,
    version: rule.version,
    ...(rule.createMs !== undefined && { createTime: timestampFromMs(rule.createMs) }),
    ...(rule.updateMs !== undefined && { updateTime: timestampFromMs(rule.updateMs) }),
    ...(countsSinceMs !== undefined && { countsSince: timestampFromMs(countsSinceMs) }),
  };
}
