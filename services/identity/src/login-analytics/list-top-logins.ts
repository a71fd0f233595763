// ListTopLogins: lists the members by the number of their logins in a window, most first.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type LoginAnalyticsService,
  TopLoginSchema,
} from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import { isUuid, type UserId } from "@muster/core";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { LoginTotal } from "../login-counts/login-totals-store.ts";
import { parseWindow } from "../login-counts/login-window.ts";
import { readMembersIn } from "../members/read-members.ts";
import { type AsOf, asOfToNumbers, readAsOf, splitAsOf } from "./as-of.ts";
import { type LoginAnalyticsDeps, waitForLogins } from "./login-analytics-deps.ts";
import { readRanking } from "./login-ranking.ts";

interface Position {
  readonly asOf: AsOf;
  readonly last: LoginTotal;
}

export function listTopLogins(
  deps: LoginAnalyticsDeps,
): UnaryHandler<typeof LoginAnalyticsService.method.listTopLogins> {
  const { clock, database, pageTokens } = deps;
  return async (request, context) => {
    const { organizationId } = context;
    const windowDays = parseWindow(request.window);
    const reader = readPage(pageTokens, `top-logins/${organizationId}/${windowDays}`, request, positionOf);
    // The logins that later pages count were applied before the first page.
    if (reader.after === undefined) await waitForLogins(deps, context);
    return database.snapshot(async (trx) => {
      const asOf = reader.after?.asOf ?? (await readAsOf(trx, clock));
      const scope = { organizationId, windowDays, asOf };
      const { items, nextPageToken } = await reader.fill({
        item: TopLoginSchema,
        read: (after, limit) => readRanking(trx, scope, after?.last, limit),
        positionOf: ({ logins, userId }) => [...asOfToNumbers(asOf), logins, userId],
        toItems: async (totals) => {
          const members = await readMembersIn(
            trx,
            organizationId,
            totals.map(({ userId }) => userId),
          );
          return totals.map(({ userId, logins }) => {
            const user = members.get(userId);
            return user && { user, loginCount: BigInt(logins) };
          });
        },
      });
      return { topLogins: items, nextPageToken, asOf: timestampFromMs(asOf.timeMs) };
    });
  };
}

function positionOf(position: PagePosition): Position | undefined {
  const { asOf, rest } = splitAsOf(position);
  const [logins, userId] = rest;
  if (typeof logins !== "number" || typeof userId !== "string" || !isUuid(userId)) return undefined;
  return { asOf, last: { logins, userId: userId as UserId } };
}
