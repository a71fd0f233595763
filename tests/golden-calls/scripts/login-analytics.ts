// Calls of LoginAnalyticsService by the user who owns the organization and by API keys.
import { LoginAnalyticsService } from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

const ada = { key: "ada" };

async function loginAnalytics(calls: Recorder): Promise<void> {
  const { listTopLogins, listInactiveUsers, getLoginStats } = LoginAnalyticsService.method;
  const { organizationId } = calls;
  await calls.ok(listTopLogins, { window: "7d" });
  await calls.ok(listTopLogins, { window: "30d", pageSize: 1 }, ada);
  await calls.refused(listTopLogins, { window: "8d" });
  await calls.refused(listTopLogins, { window: "7d" }, { key: "reader" });
  await calls.ok(listInactiveUsers, { window: "month" });
  await calls.refused(listInactiveUsers, { window: "year" });
  await calls.refused(listInactiveUsers, { window: "day", pageToken: "garbled" });
  await calls.ok(getLoginStats, { organizationId, window: "7d" });
  await calls.refused(getLoginStats, { organizationId: UNKNOWN_ID, window: "7d" });
}

export const loginAnalyticsScripts: readonly Script[] = [
  { service: LoginAnalyticsService, run: loginAnalytics },
];
