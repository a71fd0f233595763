// UpdateAlertRule changes the fields named by the mask.
import type {
  AlertRuleChanges,
  AlertService,
  UpdateAlertRuleRequest,
} from "@muster/contracts/muster/events/v1/alert_service_pb";
import { invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import { ruleToProto } from "../alerts/alert-proto.ts";
import type { EventsDeps } from "../deps.ts";
import { type AlertRule, checkRule } from "./alert-rule.ts";
import { rejectTakenCode, requireRule } from "./change-rules.ts";
import { lockRules, readRules, saveRuleSet, updateRule } from "./rule-store.ts";

const FIELD_PREFIX = "alert_rule.";
/** Mask paths and the fields of the message. */
const changeable = {
  code: "code",
  name: "name",
  event_name: "eventName",
  other_event_names: "otherEventNames",
  property: "property",
  threshold: "threshold",
  count: "count",
  window_seconds: "windowSeconds",
  enabled: "enabled",
} as const;
type Path = keyof typeof changeable;

export function updateAlertRule(deps: EventsDeps): UnaryHandler<typeof AlertService.method.updateAlertRule> {
  return async (request, context) => {
    const { organizationId } = context;
    const paths = pathsOf(request);
    if (paths.length === 0) {
      const rules = await readRules(deps.database.reader, organizationId);
      return { alertRule: ruleToProto(requireRule(rules, request.alertRuleId), rules.seriesStarts) };
    }
    const nowMs = deps.clock.nowMs();
    return deps.database.transaction(async (trx) => {
      const before = await lockRules(trx, organizationId);
      const changed = applyChanges(requireRule(before, request.alertRuleId), request.alertRule, paths, nowMs);
      checkRule(changed, FIELD_PREFIX);
      rejectTakenCode(before, changed, FIELD_PREFIX);
      await updateRule(trx, organizationId, changed);
      const rules = before.rules.map((one) => (one.id === changed.id ? changed : one));
      const { seriesStarts } = await saveRuleSet(trx, organizationId, before, rules, nowMs);
      return { alertRule: ruleToProto(changed, seriesStarts) };
    });
  };
}

function pathsOf({ alertRule, updateMask }: UpdateAlertRuleRequest): Path[] {
  const paths = updateMask?.paths ?? [];
  if (paths.length === 0) {
    return (Object.keys(changeable) as Path[]).filter((path) => {
      const value = alertRule?.[changeable[path]];
      return Array.isArray(value) ? value.length > 0 : value !== undefined;
    });
  }
  for (const path of paths) {
    if (!Object.hasOwn(changeable, path)) {
      throw invalidField("update_mask", `names no field that can be changed: ${path.slice(0, 100)}`);
    }
  }
  return [...new Set(paths as Path[])];
}

function applyChanges(
  before: AlertRule,
  changes: AlertRuleChanges | undefined,
  paths: readonly Path[],
  nowMs: number,
): AlertRule {
  const has = (path: Path): boolean => paths.includes(path);
  const required = <T>(path: Path, value: T | undefined, kept: T): T => {
    if (!has(path)) return kept;
    if (value === undefined) throw invalidField(`${FIELD_PREFIX}${path}`, "cannot be cleared");
    return value;
  };
  return {
    ...before,
    code: required("code", changes?.code, before.code),
    name: required("name", changes?.name, before.name),
    eventName: required("event_name", changes?.eventName, before.eventName),
    isEnabled: required("enabled", changes?.enabled, before.isEnabled),
    otherEventNames: has("other_event_names") ? (changes?.otherEventNames ?? []) : before.otherEventNames,
    property: has("property") ? changes?.property : before.property,
    threshold: has("threshold") ? changes?.threshold : before.threshold,
    count: has("count") ? changes?.count : before.count,
    windowSeconds: has("window_seconds") ? changes?.windowSeconds : before.windowSeconds,
    // The clock can have been set back since the last update.
    updateMs: Math.max(nowMs, before.updateMs ?? nowMs),
  };
}
