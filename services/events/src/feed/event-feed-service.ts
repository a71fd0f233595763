// Lists the handlers of EventFeedService.
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import { reportErasure } from "../erasure/report-erasure.ts";
import type { EventsDeps } from "../handlers/deps.ts";
import { batchGetProfiles } from "./batch-get-profiles.ts";
import { batchResolveProfiles } from "./batch-resolve-profiles.ts";
import { getPositions } from "./get-positions.ts";
import { readOutbox } from "./read-outbox.ts";
import { reportApplied } from "./report-applied.ts";
import { sampleProfiles } from "./sample-profiles.ts";
import { scanProfileEvents } from "./scan-profile-events.ts";

/** Binds every RPC of EventFeedService to the handler. */
export function eventFeedService(deps: EventsDeps): ServiceImplementation {
  return implement(EventFeedService, {
    getPositions: getPositions(deps),
    readOutbox: readOutbox(deps),
    reportApplied: reportApplied(deps),
    scanProfileEvents: scanProfileEvents(deps),
    batchGetProfiles: batchGetProfiles(deps),
    batchResolveProfiles: batchResolveProfiles(deps),
    sampleProfiles: sampleProfiles(deps),
    reportErasure: reportErasure(deps),
  });
}
