// Calls of OperationService.
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

async function operations(calls: Recorder): Promise<void> {
  const { getOperation } = OperationService.method;
  await calls.refused(getOperation, { operationId: UNKNOWN_ID });
  await calls.refused(getOperation, { operationId: UNKNOWN_ID }, { key: "ada" });
  await calls.refused(getOperation, { operationId: "nothing" });
  await calls.refused(getOperation, { operationId: UNKNOWN_ID }, { anonymous: true });
}

export const operationScripts: readonly Script[] = [{ service: OperationService, run: operations }];
