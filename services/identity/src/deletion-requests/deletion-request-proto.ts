// Converts deletion requests to messages of the contract.
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type DeletionRequest as DeletionRequestMessage,
  DeletionRequestSchema,
  DeletionRequestState,
} from "@muster/contracts/muster/identity/v1/deletion_request_pb";
import type {
  DeletionCounts,
  DeletionRequest,
  DeletionState,
} from "../deletion-request-storage/deletion-request.ts";

const STATES: Readonly<Record<DeletionState, DeletionRequestState>> = {
  pending: DeletionRequestState.PENDING,
  approved: DeletionRequestState.APPROVED,
  rejected: DeletionRequestState.REJECTED,
};

export function deletionRequestToProto(request: DeletionRequest): DeletionRequestMessage {
  const { id, userId, requester, deciderId, decideTimeMs, completeTimeMs } = request;
  const message = create(DeletionRequestSchema, {
    id,
    userId,
    state: STATES[request.state],
    requesterId: requester.id,
    createTime: timestampFromMs(request.createTimeMs),
    locations: locationsOf(request.counts ?? {}).map(({ location, count }) => ({
      location,
      count: BigInt(count),
    })),
  });
  if (deciderId !== undefined) message.deciderId = deciderId;
  if (decideTimeMs !== undefined) message.decideTime = timestampFromMs(decideTimeMs);
  if (completeTimeMs !== undefined) message.completeTime = timestampFromMs(completeTimeMs);
  return message;
}

/** By name. */
export function locationsOf(counts: DeletionCounts) {
  return Object.entries(counts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([location, count]) => ({ location, count }));
}
