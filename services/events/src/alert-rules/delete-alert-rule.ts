// DeleteAlertRule deletes a rule permanently; default rules can be deleted too.
import type { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { requireRule } from "./change-rules.ts";
import { deleteRule, lockRules, saveRuleSet } from "./rule-store.ts";

export function deleteAlertRule(deps: EventsDeps): UnaryHandler<typeof AlertService.method.deleteAlertRule> {
  return async (request, context) => {
    const { organizationId } = context;
    await deps.database.transaction(async (trx) => {
      const before = await lockRules(trx, organizationId);
      const { id } = requireRule(before, request.alertRuleId);
      await deleteRule(trx, organizationId, id);
      const rules = before.rules.filter((rule) => rule.id !== id);
      await saveRuleSet(trx, organizationId, before, rules, deps.clock.nowMs());
    });
    return {};
  };
}
