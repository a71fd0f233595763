// Lists the RPCs about deletion requests with their handlers.
import { DeletionRequestService } from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { approveDeletionRequest } from "./approve-deletion-request.ts";
import { createDeletionRequest } from "./create-deletion-request.ts";
import { listDeletionRequests } from "./list-deletion-requests.ts";
import { rejectDeletionRequest } from "./reject-deletion-request.ts";

export function deletionRequestService(deps: IdentityDeps): ServiceImplementation {
  return implement(DeletionRequestService, {
    createDeletionRequest: createDeletionRequest(deps),
    listDeletionRequests: listDeletionRequests(deps),
    approveDeletionRequest: approveDeletionRequest(deps),
    rejectDeletionRequest: rejectDeletionRequest(deps),
  });
}
