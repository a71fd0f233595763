// UpdateAlertRule changes the fields named by the mask.
import type {
  AlertRuleChanges,
  AlertService,
  UpdateAlertRuleRequest,
} from "@muster/contracts/muster/events/v1/alert_service_pb";
import { invalidField } from "@muster/errors";
import { changedPaths, requireVersion, type UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { type AlertRule, checkRule } from "./alert-rule.ts";
import { ruleToProto } from "./alert-rule-proto.ts";
import { rejectTakenCode, requireRule } from "./change-rules.ts";
import type { RuleSet } from "./rule-set.ts";
import { lockRules, readRules, saveRuleSet, updateRule } from "./rule-store.ts";

const FIELD_PREFIX = "alert_rule.";
/** Mask paths and the fields of the message. */
const FIELDS = {
  code: "code",
  name: "name",
  event_name: "eventName",
  other_event_names: "otherEventNames",
  property: "property",
  threshold: "threshold",
  count: "count",
  window_seconds: "windowSeconds",
  enabled: "enabled",
  version: "version",
} as const;
type Path = keyof typeof FIELDS;

export function updateAlertRule(deps: EventsDeps): UnaryHandler<typeof AlertService.method.updateAlertRule> {
  return async (request, context) => {
    const { organizationId } = context;
    const masked = changedPaths(request.updateMask, request.alertRule, FIELDS);
    const paths = masked.filter((path) => path !== "version");
    if (paths.length === 0) {
      const rules = await readRules(deps.database.reader, organizationId);
      return { alertRule: ruleToProto(requireCurrent(rules, request), rules.seriesStarts) };
    }
    const nowMs = deps.clock.nowMs();
    return deps.database.transaction(async (trx) => {
      const before = await lockRules(trx, organizationId);
      const changed = applyChanges(requireCurrent(before, request), request.alertRule, paths, nowMs);
      checkRule(changed, FIELD_PREFIX);
      rejectTakenCode(before, changed, FIELD_PREFIX);
      await updateRule(trx, organizationId, changed);
      const rules = before.rules.map((one) => (one.id === changed.id ? changed : one));
      const { seriesStarts } = await saveRuleSet(trx, organizationId, before, rules, nowMs);
      return { alertRule: ruleToProto(changed, seriesStarts) };
    });
  };
}

/** The rule, in the version that the request names. */
function requireCurrent(rules: RuleSet, request: UpdateAlertRuleRequest): AlertRule {
  const { alertRuleId, alertRule, ifMatch } = request;
  const rule = requireRule(rules, alertRuleId);
  requireVersion({ ifMatch, version: alertRule?.version, current: rule.version });
  return rule;
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
    version: before.version + 1,
    // The clock can have been set back since the last update.
    updateMs: Math.max(nowMs, before.updateMs ?? nowMs),
  };
}
