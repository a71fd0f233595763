// ReportApplied stores the positions that a consumer has applied.
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";

export function reportApplied(deps: EventsDeps): UnaryHandler<typeof EventFeedService.method.reportApplied> {
  return async ({ consumer, shards }) => {
    const applied = shards.map(({ shard, position, itemsThrough }) => ({
      shard,
      position: Number(position),
      itemsThrough: Number(itemsThrough),
    }));
    await deps.outbox.reportApplied(consumer, applied);
    return {};
  };
}
