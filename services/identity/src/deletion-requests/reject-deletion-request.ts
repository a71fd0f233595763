// RejectDeletionRequest: decides that the data of a person stays.
import { create } from "@bufbuild/protobuf";
import {
  type DeletionRequestService,
  RejectDeletionRequestResponseSchema,
} from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { saveDeletionRequest } from "../deletion-request-storage/deletion-request-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { deletionRequestToProto } from "./deletion-request-proto.ts";
import { lockRequest } from "./lock-request.ts";
import { mailPerson } from "./mail-person.ts";

export function rejectDeletionRequest(
  deps: IdentityDeps,
): UnaryHandler<typeof DeletionRequestService.method.rejectDeletionRequest> {
  return (message, context) => {
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { request } = await lockRequest(trx, context, message.deletionRequestId);
      if (request.state === "approved") throw new AppError("DELETION_REQUEST_DECIDED");
      const decision = { state: "rejected", deciderId: context.principal.id, decideTimeMs: nowMs } as const;
      const rejected = request.state === "rejected" ? request : { ...request, ...decision };
      if (request.state === "pending") {
        await saveDeletionRequest(trx, rejected);
        await mailPerson(deps, trx, write, request, { kind: "erasure_rejected", nowMs });
      }
      return create(RejectDeletionRequestResponseSchema, {
        deletionRequest: deletionRequestToProto(rejected),
      });
    });
  };
}
