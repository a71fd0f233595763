// GetTrackedUserSummary summarizes the page views of a user in the last 168 hours, over all linked profiles.
import type { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { WorkBudget } from "@muster/core";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { linkedProfileIds } from "../identity-graph/links-store.ts";
import { findOwner } from "../profile-storage/identity-store.ts";
import { visitPageViews } from "./page-view-store.ts";
import { RecentViews } from "./recent-views.ts";

export function getTrackedUserSummary(
  deps: EventsDeps,
): UnaryHandler<typeof BehaviorService.method.getTrackedUserSummary> {
  return async ({ userId }, { organizationId, signal }) => {
    const db = deps.database.reader;
    const owner = await findOwner(db, organizationId, { kind: "user_id", value: userId });
    if (owner === undefined) throw new AppError("PROFILE_NOT_FOUND");
    const profileIds = await linkedProfileIds(db, organizationId, owner.rootId);
    const recent = new RecentViews(deps.clock.nowMs());
    await visitPageViews(db, organizationId, profileIds, recent, {
      visit: (occurredMs, page) => recent.add(occurredMs, page),
      budget: WorkBudget.inSlices({ clock: deps.clock, signal }),
    });
    const { pagesViewed, minutesSpent, daysActive, mostViewedPage } = recent.summarize();
    return {
      userId,
      numberPagesViewedInTheLast7Days: BigInt(pagesViewed),
      timeSpentOnSiteInLast7Days: BigInt(minutesSpent),
      numberOfDaysActiveInLast7Days: daysActive,
      ...(mostViewedPage !== undefined && { mostViewedPageInLast7Days: mostViewedPage }),
    };
  };
}
