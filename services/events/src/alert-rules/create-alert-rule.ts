// CreateAlertRule adds a rule, which applies to events received from now on.
import { create } from "@bufbuild/protobuf";
import {
  type AlertService,
  type CreateAlertRuleRequest,
  CreateAlertRuleResponseSchema,
} from "@muster/contracts/muster/events/v1/alert_service_pb";
import { AppError, invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { type AlertRule, checkRule, RULES_MAX } from "./alert-rule.ts";
import { kindFromProto, ruleToProto } from "./alert-rule-proto.ts";
import { rejectTakenCode } from "./change-rules.ts";
import { insertRule, lockRules, saveRuleSet } from "./rule-store.ts";

export function createAlertRule(deps: EventsDeps): UnaryHandler<typeof AlertService.method.createAlertRule> {
  return async (request, context) => {
    const { organizationId } = context;
    const nowMs = deps.clock.nowMs();
    const rule = ruleOf(request, deps.ids.next(nowMs), nowMs);
    checkRule(rule, "");
    return deps.database.transaction(async (trx) => {
      const before = await lockRules(trx, organizationId);
      rejectTakenCode(before, rule, "");
      if (before.rules.length >= RULES_MAX) {
        throw new AppError("ALERT_RULE_LIMIT_REACHED", { details: { limit: String(RULES_MAX) } });
      }
      await insertRule(trx, organizationId, rule);
      const { seriesStarts } = await saveRuleSet(trx, organizationId, before, [...before.rules, rule], nowMs);
      const response = create(CreateAlertRuleResponseSchema, { alertRule: ruleToProto(rule, seriesStarts) });
      await context.saveResponse(trx, response);
      return response;
    });
  };
}

function ruleOf(request: CreateAlertRuleRequest, id: string, nowMs: number): AlertRule {
  const kind = kindFromProto(request.kind);
  if (kind === undefined) throw invalidField("kind", "is required");
  return {
    id,
    code: request.code ?? 0,
    name: request.name,
    kind,
    eventName: request.eventName,
    otherEventNames: request.otherEventNames,
    property: request.property,
    threshold: request.threshold,
    count: request.count,
    windowSeconds: request.windowSeconds,
    isEnabled: request.enabled ?? true,
    version: 1,
    createMs: nowMs,
    updateMs: nowMs,
  };
}
