// GetPositions returns the last committed position of every shard.
import type { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";

export function getPositions(deps: EventsDeps): UnaryHandler<typeof EventFeedService.method.getPositions> {
  return async () => ({ positions: (await deps.outbox.positions()).map(BigInt) });
}
