// Reads summaries and points with the statements of the handlers, through the same pool, for a known profile.
// HTTP and calls between services are left out, so that only the reads are compared.
import { bytesToUuid, type OrganizationId, type ProfileId, systemClock, WorkBudget } from "@muster/core";
import type { Database } from "@muster/db";
import { listCounts } from "../../../services/events/src/behavior/event-count-store.ts";
import { visitPageViews } from "../../../services/events/src/behavior/page-view-store.ts";
import { type RecentBehavior, RecentViews } from "../../../services/events/src/behavior/recent-views.ts";

export interface ReadModel {
  readonly database: Database;
  readonly organization: Buffer;
  /** Names and points of the catalog. */
  readonly prices: ReadonlyMap<string, number>;
}

export async function modelSummary(
  { database, organization }: ReadModel,
  profile: Buffer,
): Promise<RecentBehavior> {
  const recent = new RecentViews(systemClock.nowMs());
  const organizationId = bytesToUuid<OrganizationId>(organization);
  const profileIds = [bytesToUuid<ProfileId>(profile)];
  await visitPageViews(database.reader, organizationId, profileIds, recent, {
    visit: (occurredMs, page) => recent.add(occurredMs, page),
    budget: WorkBudget.inSlices({ clock: systemClock }),
  });
  return recent.summarize();
}

export async function modelPoints(
  { database, organization, prices }: ReadModel,
  profiles: readonly Buffer[],
): Promise<number> {
  const counts = await listCounts(database.reader, {
    organizationId: bytesToUuid<OrganizationId>(organization),
    profileIds: profiles.map((profile) => bytesToUuid<ProfileId>(profile)),
    names: new Set(prices.keys()),
    budget: WorkBudget.inSlices({ clock: systemClock }),
  });
  return counts.reduce((sum, { name, count }) => sum + (prices.get(name) ?? 0) * count, 0);
}
