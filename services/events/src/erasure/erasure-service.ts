// Lists the handlers of ErasureService.
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { eraseProfile } from "./erase-profile.ts";
import { eraseTrackedUser } from "./erase-tracked-user.ts";
import type { ErasureWorker } from "./erasure-worker.ts";
import { getErasure } from "./get-erasure.ts";
import { listErasures } from "./list-erasures.ts";

/** The shared dependencies and the worker that erases persons. */
interface ErasureDeps extends EventsDeps {
  readonly erasures: ErasureWorker;
}

/** Binds every RPC of ErasureService to the handler. */
export function erasureService(deps: ErasureDeps): ServiceImplementation {
  return implement(ErasureService, {
    eraseProfile: eraseProfile(deps),
    eraseTrackedUser: eraseTrackedUser(deps),
    getErasure: getErasure(deps),
    listErasures: listErasures(deps),
  });
}
