// Converts alerts and alert rules to messages, and rule kinds from messages.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  AlertRuleKind,
  type AlertRuleSchema,
  type AlertSchema,
} from "@muster/contracts/muster/events/v1/alert_pb";
import type { ProfileId } from "@muster/core";
import type { AlertRule, RuleKind } from "../alert-rules/alert-rule.ts";
import { historyStartMs, type SeriesStarts } from "../alert-rules/rule-set.ts";
import type { Alert } from "./alert.ts";

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
    ...(rule.createMs !== undefined && { createTime: timestampFromMs(rule.createMs) }),
    ...(rule.updateMs !== undefined && { updateTime: timestampFromMs(rule.updateMs) }),
    ...(countsSinceMs !== undefined && { countsSince: timestampFromMs(countsSinceMs) }),
  };
}

/** The current root profile of an alert, and the user id of that profile. */
export interface AlertProfile {
  readonly profileId: ProfileId;
  readonly userId: string | undefined;
}

export function alertToProto(alert: Alert, person: AlertProfile): MessageInitShape<typeof AlertSchema> {
  return {
    id: alert.id,
    ruleId: alert.ruleId,
    code: alert.code,
    profileId: person.profileId,
    ...(person.userId !== undefined && { userId: person.userId }),
    eventId: alert.eventId,
    eventName: alert.eventName,
    timestamp: timestampFromMs(alert.occurredMs),
    fireTime: timestampFromMs(alert.firedMs),
  };
}
