// Lists the RPCs about operations with their handlers.
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { getOperation } from "./get-operation.ts";

export function operationService(deps: IdentityDeps): ServiceImplementation {
  return implement(OperationService, { getOperation: getOperation(deps) });
}
