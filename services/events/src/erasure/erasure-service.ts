// Lists the handlers of ErasureService.
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { eraseProfile } from "./erase-profile.ts";
import { eraseUser } from "./erase-user.ts";
import type { Erasures } from "./erasures.ts";
import { getErasure } from "./get-erasure.ts";
import { listErasures } from "./list-erasures.ts";

export function erasureService(deps: EventsDeps, erasures: Erasures): ServiceImplementation {
  return implement(ErasureService, {
    eraseProfile: eraseProfile(erasures),
    eraseUser: eraseUser(erasures),
    getErasure: getErasure(deps),
    listErasures: listErasures(deps),
  });
}
