// Calls of OperationService and PrivacyService.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

async function operations(calls: Recorder): Promise<void> {
  const { getOperation } = OperationService.method;
  await calls.refused(getOperation, { operationId: UNKNOWN_ID });
  await calls.refused(getOperation, { operationId: UNKNOWN_ID }, { key: "ada" });
  await calls.refused(getOperation, { operationId: "nothing" });
  await calls.refused(getOperation, { operationId: UNKNOWN_ID }, { anonymous: true });
}

/** Accepted calls start a worker, whose rows depend on time; services/identity/tests/privacy has them. */
async function privacy(calls: Recorder): Promise<void> {
  const { exportUser, downloadExport, requestAccountDeletion, confirmAccountDeletion } =
    PrivacyService.method;
  const { me } = await calls.ok(AccountService.method.getMe, {}, { key: "ada" });
  await calls.refused(exportUser, { userId: UNKNOWN_ID });
  await calls.refused(exportUser, { userId: me?.id ?? "" }, { key: "reader" });
  await calls.stream(downloadExport, [{ token: "nothing" }], { take: 1 });
  await calls.refused(requestAccountDeletion, {}, { key: "ada" });
  await calls.refused(requestAccountDeletion, {});
  await calls.refused(confirmAccountDeletion, { token: "nothing" }, { anonymous: true });
  await calls.stream(downloadExport, [{ token: "nothing" }], { take: 1, anonymous: true });
}

export const operationScripts: readonly Script[] = [
  { service: OperationService, run: operations },
  { service: PrivacyService, run: privacy },
];
