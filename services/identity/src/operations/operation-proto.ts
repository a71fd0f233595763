// Converts operations to messages of the contract.
import { create } from "@bufbuild/protobuf";
import {
  type Operation as OperationMessage,
  OperationSchema,
  OperationState as StateMessage,
} from "@muster/contracts/muster/identity/v1/operation_pb";
import { reasonTable } from "@muster/errors";
import type { NewOperation, Operation, OperationState } from "./operation.ts";

const STATES: Readonly<Record<OperationState, StateMessage>> = {
  pending: StateMessage.PENDING,
  running: StateMessage.RUNNING,
  succeeded: StateMessage.SUCCEEDED,
  failed: StateMessage.FAILED,
};

export function operationToProto(operation: Operation): OperationMessage {
  const { id, kind, state, progress, result, failure } = operation;
  const message = create(OperationSchema, { id, kind, state: STATES[state], progress });
  if (result !== undefined) message.result = JSON.stringify(result);
  if (failure !== undefined) {
    message.error = {
      $typeName: "muster.identity.v1.OperationError",
      reason: failure,
      message: reasonTable[failure].message,
    };
  }
  return message;
}

/** The operation in the response of the call that began the work. */
export function newOperationToProto({ id, kind }: NewOperation): OperationMessage {
  return create(OperationSchema, { id, kind, state: StateMessage.PENDING, progress: 0 });
}
