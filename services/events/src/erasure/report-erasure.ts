// ReportErasure records how much another service removed about one erased profile.
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { bytesToUuid, type OrganizationId, type ProfileId } from "@muster/core";
import { invalidField } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { finishErasure, insertRemovedCounts, lockErasure } from "./erasure-store.ts";
import { markReported } from "./task-store.ts";

export function reportErasure(
  deps: Pick<EventsDeps, "clock" | "database">,
): UnaryHandler<typeof EventFeedService.method.reportErasure> {
  return async ({ organizationId, erasureId, profileId, locations }) => {
    const bad = locations.findIndex(({ count }) => count < 0n || count > BigInt(Number.MAX_SAFE_INTEGER));
    if (bad >= 0) throw invalidField(`places[${bad}].count`, "must be from 0 to 2^53-1");
    const erasure = {
      organizationId: bytesToUuid<OrganizationId>(organizationId),
      id: bytesToUuid(erasureId),
    };
    const profile = bytesToUuid<ProfileId>(profileId);
    const counts = new Map(locations.map(({ location, count }) => [location, Number(count)]));
    await deps.database.transaction(async (trx) => {
      // An unknown receipt is ignored, for example after a restored backup.
      if (!(await lockErasure(trx, erasure))) return;
      const uniqueCounts = Array.from(counts, ([location, count]) => ({ location, count }));
      await insertRemovedCounts(trx, erasure, profile, uniqueCounts);
      await markReported(trx, erasure, profile);
      await finishErasure(trx, erasure, deps.clock.nowMs());
    });
    return {};
  };
}
