// GetLoginStats: returns the logins and the distinct users of each date of a window.
import type { LoginAnalyticsService } from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import { readLoginsByDay } from "../login-counts/login-daily-store.ts";
import { dateOf, firstDayOf, parseWindow } from "../login-counts/login-window.ts";
import { readAsOf } from "./as-of.ts";
import { type LoginAnalyticsDeps, waitForLogins } from "./login-analytics-deps.ts";

export function getLoginStats(
  deps: LoginAnalyticsDeps,
): UnaryHandler<typeof LoginAnalyticsService.method.getLoginStats> {
  const { clock, database } = deps;
  return async (request, context) => {
    const { organizationId } = context;
    // Another organization is reported as not found, like an unknown id.
    if (request.organizationId !== organizationId) throw new AppError("ORGANIZATION_NOT_FOUND");
    const windowDays = parseWindow(request.window);
    await waitForLogins(deps, context);
    return database.snapshot(async (trx) => {
      const { day: today } = await readAsOf(trx, clock);
      const first = firstDayOf(windowDays, today);
      const counts = await readLoginsByDay(trx, organizationId, first, today);
      const days = Array.from({ length: windowDays }, (_, index) => {
        const { logins = 0, users = 0 } = counts.get(first + index) ?? {};
        return { date: dateOf(first + index), logins: BigInt(logins), users: BigInt(users) };
      });
      return { days };
    });
  };
}
