// Lists the handlers of BehaviorService.
import { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { CatalogDeps } from "../catalog/catalog.ts";
import { getTrackedUserSummary } from "./get-tracked-user-summary.ts";
import { listTrackedUserPoints } from "./list-tracked-user-points.ts";
import { recordTrackedUserEvent } from "./record-tracked-user-event.ts";

/** Binds every RPC of BehaviorService to the handler. */
export function behaviorService(deps: CatalogDeps): ServiceImplementation {
  return implement(BehaviorService, {
    recordTrackedUserEvent: recordTrackedUserEvent(deps),
    listTrackedUserPoints: listTrackedUserPoints(deps),
    getTrackedUserSummary: getTrackedUserSummary(deps),
  });
}
