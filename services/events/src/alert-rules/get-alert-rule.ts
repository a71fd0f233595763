// GetAlertRule reads one rule.
import type { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { ruleToProto } from "./alert-rule-proto.ts";
import { requireRule } from "./change-rules.ts";
import { readRules } from "./rule-store.ts";

export function getAlertRule(deps: EventsDeps): UnaryHandler<typeof AlertService.method.getAlertRule> {
  return async (request, context) => {
    const rules = await readRules(deps.database.reader, context.organizationId);
    return { alertRule: ruleToProto(requireRule(rules, request.alertRuleId), rules.seriesStarts) };
  };
}
