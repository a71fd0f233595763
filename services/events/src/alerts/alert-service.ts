// Lists the handlers of AlertService.
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import { createAlertRule } from "../alert-rules/create-alert-rule.ts";
import { deleteAlertRule } from "../alert-rules/delete-alert-rule.ts";
import { getAlertRule } from "../alert-rules/get-alert-rule.ts";
import { listAlertRules } from "../alert-rules/list-alert-rules.ts";
import { updateAlertRule } from "../alert-rules/update-alert-rule.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { listAlerts } from "./list-alerts.ts";
import { recordAction } from "./record-action.ts";

/** Binds every RPC of AlertService to the handler. */
export function alertService(deps: EventsDeps): ServiceImplementation {
  return implement(AlertService, {
    recordAction: recordAction(deps),
    listAlerts: listAlerts(deps),
    listAlertRules: listAlertRules(deps),
    createAlertRule: createAlertRule(deps),
    getAlertRule: getAlertRule(deps),
    updateAlertRule: updateAlertRule(deps),
    deleteAlertRule: deleteAlertRule(deps),
  });
}
