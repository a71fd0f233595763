// ListAlertRules lists rules by code. An organization has few rules, so a page reads all rules.
import { AlertRuleSchema } from "@muster/contracts/muster/events/v1/alert_pb";
import type { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { ruleToProto } from "./alert-rule-proto.ts";
import { readRules } from "./rule-store.ts";

export function listAlertRules({
  database,
  pageTokens,
}: EventsDeps): UnaryHandler<typeof AlertService.method.listAlertRules> {
  return async (request, { organizationId }) => {
    const scope = JSON.stringify(["alert-rules", organizationId]);
    const page = readPage(pageTokens, scope, request, parsePosition);
    const { rules, seriesStarts } = await readRules(database.reader, organizationId);
    const { items, nextPageToken } = await page.fill({
      item: AlertRuleSchema,
      read: async (after = -1, limit) => rules.filter(({ code }) => code > after).slice(0, limit),
      positionOf: ({ code }) => [code],
      toItems: (rows) => rows.map((rule) => ruleToProto(rule, seriesStarts)),
    });
    return { alertRules: items, nextPageToken };
  };
}

function parsePosition([code]: PagePosition): number | undefined {
  return typeof code === "number" ? code : undefined;
}
