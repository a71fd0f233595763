// Decides whether a failed unary call is sent once more, to a replica with a connection.
import { type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { StatusObject } from "@grpc/grpc-js";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { fromGrpcStatus, hasDetails } from "./grpc-errors.ts";

/** Time for the channel to connect again, or to find a different replica. */
export const REPEAT_DELAY_MS = 150;

/** The status of a call that found no connection: no byte of the call was sent. */
const NEVER_SENT = /\bNo connection established\b|^Name resolution failed\b/;

/** A call that was sent may have had its effect, so only a call without effects is repeated then. */
export function mayRepeat(method: DescMethod, status: StatusObject): boolean {
  const isConnectionLost = !hasDetails(status) && fromGrpcStatus(status).reason === "UNAVAILABLE";
  return isConnectionLost && (NEVER_SENT.test(status.details) || isRead(method));
}

const reads = new WeakMap<DescMethod, boolean>();

function isRead(method: DescMethod): boolean {
  let known = reads.get(method);
  if (known === undefined) {
    const isGet = hasOption(method, http) && getOption(method, http).pattern.case === "get";
    known = isGet || method.idempotency === IdempotencyLevel.NO_SIDE_EFFECTS;
    reads.set(method, known);
  }
  return known;
}
