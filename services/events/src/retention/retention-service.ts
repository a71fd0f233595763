// Lists the handlers of RetentionService.
import { RetentionService } from "@muster/contracts/muster/events/v1/retention_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import { getRetention } from "./get-retention.ts";
import { type RetentionDeps, updateRetention } from "./update-retention.ts";

/** Binds every RPC of RetentionService to the handler. */
export function retentionService(deps: RetentionDeps): ServiceImplementation {
  return implement(RetentionService, {
    getRetention: getRetention(deps),
    updateRetention: updateRetention(deps),
  });
}
