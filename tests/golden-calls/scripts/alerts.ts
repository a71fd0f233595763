// Calls about alert rules, and the actions on which alerts fire.
import { AlertRuleKind } from "@muster/contracts/muster/events/v1/alert_pb";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

async function alerts(calls: Recorder): Promise<void> {
  const { recordAction, listAlerts } = AlertService.method;
  const action = { type: "withdraw", amount: "150.00", userId: 7n, time: 10n };
  await calls.refused(recordAction, action);
  await calls.ok(ProfileService.method.createProfile, { userId: "7" });
  await calls.ok(recordAction, action, { idempotencyKey: "first" });
  await calls.ok(recordAction, action, { idempotencyKey: "first" });
  await calls.ok(recordAction, { ...action, amount: "5", time: 11n });
  await calls.ok(recordAction, { ...action, amount: "6", time: 12n });
  await calls.ok(recordAction, { ...action, type: "deposit", amount: "10", time: 13n });
  await calls.refused(recordAction, { ...action, type: "steal" });
  await calls.refused(recordAction, { ...action, amount: "0" });
  await calls.refused(recordAction, { type: "deposit" });
  await calls.refused(recordAction, action, { key: "reader" });
  const { nextPageToken } = await calls.ok(listAlerts, { pageSize: 1 });
  await calls.ok(listAlerts, { pageSize: 1, pageToken: nextPageToken });
  await calls.ok(listAlerts, { userId: "7", code: 30 });
  await calls.ok(listAlerts, { userId: "8" });
  await calls.refused(listAlerts, { pageToken: "nonsense" });
  await rules(calls);
  await calls.ok(recordAction, { ...action, type: "deposit", amount: "120", time: 20n });
  await calls.ok(recordAction, { ...action, type: "deposit", amount: "120", time: 21n });
}

async function rules(calls: Recorder): Promise<void> {
  const { listAlertRules, createAlertRule, getAlertRule } = AlertService.method;
  const { updateAlertRule, deleteAlertRule } = AlertService.method;
  await calls.ok(listAlertRules, { pageSize: 3 });
  const rule = {
    code: 5,
    name: "Deposits over 50 in a minute",
    kind: AlertRuleKind.WINDOW_SUM,
    eventName: "deposit",
    property: "amount",
    threshold: "50",
    windowSeconds: 60,
  };
  const { alertRule } = await calls.ok(createAlertRule, rule, { idempotencyKey: "rule" });
  await calls.ok(createAlertRule, rule, { idempotencyKey: "rule" });
  await calls.refused(createAlertRule, rule);
  await calls.refused(createAlertRule, { ...rule, code: 6, count: 3 });
  await calls.refused(createAlertRule, { code: 6, name: "", kind: 0, eventName: "" });
  await calls.refused(createAlertRule, rule, { key: "reader" });
  const { alertRules, nextPageToken } = await calls.ok(listAlertRules, { pageSize: 3 });
  await calls.ok(listAlertRules, { pageSize: 3, pageToken: nextPageToken });
  await calls.refused(listAlertRules, { pageToken: "nonsense" });
  const alertRuleId = alertRule?.id ?? "";
  await calls.ok(getAlertRule, { alertRuleId });
  await calls.refused(getAlertRule, { alertRuleId: UNKNOWN_ID });
  await calls.ok(updateAlertRule, { alertRuleId, alertRule: { threshold: "60", enabled: true } });
  await calls.refused(updateAlertRule, { alertRuleId, alertRule: { code: 30 } });
  await calls.refused(updateAlertRule, { alertRuleId, alertRule: {}, updateMask: { paths: ["kind"] } });
  await calls.refused(updateAlertRule, { alertRuleId: UNKNOWN_ID, alertRule: { code: 9 } });
  await calls.ok(deleteAlertRule, { alertRuleId: alertRules.at(-1)?.id ?? "" });
  await calls.refused(deleteAlertRule, { alertRuleId: UNKNOWN_ID });
}

export const alertScripts: readonly Script[] = [{ service: AlertService, run: alerts }];
