// Lists the handlers of ErasureService.
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { eraseProfile } from "./erase-profile.ts";
import { eraseTrackedUser } from "./erase-tracked-user.ts";
import type { ErasureWorker } from "./erasure-worker.ts";
import { getErasure } from "./get-erasure.ts";
import { listErasures } from "./list-erasures.ts";

export function erasureService(deps: EventsDeps, worker: ErasureWorker): ServiceImplementation {
  return implement(ErasureService, {
    eraseProfile: eraseProfile(worker),
    eraseTrackedUser: eraseTrackedUser(worker),
    getErasure: getErasure(deps),
    listErasures: listErasures(deps),
  });
}
