// ListAlertRules lists rules by code. An organization has few rules, so a page reads all rules.
import type { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { PAGE_SIZE_DEFAULT } from "@muster/core";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import { ruleToProto } from "../alerts/alert-proto.ts";
import type { EventsDeps } from "../deps.ts";
import { readRules } from "./rule-store.ts";

export function listAlertRules(deps: EventsDeps): UnaryHandler<typeof AlertService.method.listAlertRules> {
  return async (request, context) => {
    const { organizationId } = context;
    const scope = JSON.stringify(["alert-rules", organizationId]);
    const after = openToken(deps, scope, request.pageToken);
    const { rules, seriesStarts } = await readRules(deps.database.reader, organizationId);
    const rest = rules.filter(({ code }) => code > after);
    const page = rest.slice(0, request.pageSize || PAGE_SIZE_DEFAULT);
    const last = page.at(-1);
    const hasMore = rest.length > page.length && last !== undefined;
    return {
      alertRules: page.map((rule) => ruleToProto(rule, seriesStarts)),
      nextPageToken: hasMore ? deps.pageTokens.seal(scope, [last.code]) : "",
    };
  };
}

function openToken(deps: EventsDeps, scope: string, token: string): number {
  if (token === "") return -1;
  const [code] = deps.pageTokens.open(scope, token) ?? [];
  if (typeof code !== "number") throw new AppError("PAGE_TOKEN_INVALID");
  return code;
}
