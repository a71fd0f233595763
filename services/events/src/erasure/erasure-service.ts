// Lists the handlers of ErasureService.
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { eraseProfile } from "./erase-profile.ts";
import { eraseTrackedUser } from "./erase-tracked-user.ts";
import { getErasure } from "./get-erasure.ts";
import { listErasures } from "./list-erasures.ts";

/** Binds every RPC of ErasureService to the handler. */
export function erasureService(deps: EventsDeps): ServiceImplementation {
  return implement(ErasureService, {
    eraseProfile: eraseProfile(deps),
    eraseTrackedUser: eraseTrackedUser(deps),
    getErasure: getErasure(deps),
    listErasures: listErasures(deps),
  });
}
