// Adds the reported calls of API keys to the counts of their dates, each report once.
import type { AddApiKeyUsage, ApiKeyUsageReport } from "@muster/authz";
import type { Clock, OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import { findOrganizationsOfKeys } from "../api-keys/api-key-store.ts";
import { addCalls, claimReport, type StoredCalls } from "./api-key-usage-store.ts";
import { isUsageDay } from "./usage-days.ts";

/** Writes to identity's own database: for the processes that run identity. */
export function ownApiKeyUsage(database: Database, clock: Clock): AddApiKeyUsage {
  return (report) =>
    database.transaction(async (trx) => {
      const nowMs = clock.nowMs();
      if (!(await claimReport(trx, report, nowMs))) return;
      const ids = [...new Set(report.calls.map(({ apiKeyId }) => apiKeyId))];
      await addCalls(trx, storedCalls(report, await findOrganizationsOfKeys(trx, ids), nowMs));
    });
}

/** In the order of the primary key, without deleted keys. */
function storedCalls(
  { calls }: ApiKeyUsageReport,
  organizations: ReadonlyMap<string, OrganizationId>,
  nowMs: number,
): StoredCalls[] {
  const known = calls.flatMap(({ apiKeyId, day, calls: count }): StoredCalls[] => {
    const organizationId = organizations.get(apiKeyId);
    if (organizationId === undefined || !isUsageDay(day, nowMs)) return [];
    return [{ organizationId, apiKeyId: apiKeyId as StoredCalls["apiKeyId"], day, calls: count }];
  });
  return known.sort(
    (a, b) => compare(a.organizationId, b.organizationId) || compare(a.apiKeyId, b.apiKeyId) || a.day - b.day,
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
