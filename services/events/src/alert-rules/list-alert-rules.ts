// ListAlertRules lists rules by code. An organization has few rules, so a page reads all rules.
import type { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { cutPage, type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { ruleToProto } from "./alert-rule-proto.ts";
import { readRules } from "./rule-store.ts";

export function listAlertRules({
  database,
  pageTokens,
}: EventsDeps): UnaryHandler<typeof AlertService.method.listAlertRules> {
  return async (request, { organizationId }) => {
    const scope = JSON.stringify(["alert-rules", organizationId]);
    const { size, after = -1 } = readPage(pageTokens, scope, request, parsePosition);
    const { rules, seriesStarts } = await readRules(database.reader, organizationId);
    const following = rules.filter(({ code }) => code > after);
    const { rows, nextPageToken } = cutPage(pageTokens, scope, following, size, ({ code }) => [code]);
    return { alertRules: rows.map((rule) => ruleToProto(rule, seriesStarts)), nextPageToken };
  };
}

function parsePosition([code]: PagePosition): number | undefined {
  return typeof code === "number" ? code : undefined;
}
