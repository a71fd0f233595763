// Lists the RPCs of login analytics with their handlers.
import { LoginAnalyticsService } from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import { getLoginStats } from "./get-login-stats.ts";
import { listInactiveUsers } from "./list-inactive-users.ts";
import { listTopLogins } from "./list-top-logins.ts";
import type { LoginAnalyticsDeps } from "./login-analytics-deps.ts";

export function loginAnalyticsService(deps: LoginAnalyticsDeps): ServiceImplementation {
  return implement(LoginAnalyticsService, {
    listTopLogins: listTopLogins(deps),
    listInactiveUsers: listInactiveUsers(deps),
    getLoginStats: getLoginStats(deps),
  });
}
