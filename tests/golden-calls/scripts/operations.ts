// Calls of OperationService, PrivacyService and DeletionRequestService.
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { DeletionRequestService } from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
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

/** An approval starts a worker too. */
async function deletionRequests(calls: Recorder): Promise<void> {
  const { createDeletionRequest, listDeletionRequests, approveDeletionRequest, rejectDeletionRequest } =
    DeletionRequestService.method;
  const ada = { key: "ada" };
  const { me } = await calls.ok(AccountService.method.getMe, {}, ada);
  const invited = { email: "erased@example.com", name: "Eve", role: Role.MEMBER };
  const { user } = await calls.ok(UserService.method.createUser, invited, ada);
  const userId = user?.id ?? "";
  await calls.refused(createDeletionRequest, { userId: UNKNOWN_ID }, ada);
  await calls.refused(createDeletionRequest, { userId: me?.id ?? "" }, ada);
  await calls.refused(createDeletionRequest, { userId }, { key: "reader" });
  const { deletionRequest } = await calls.ok(createDeletionRequest, { userId }, ada);
  await calls.ok(createDeletionRequest, { userId });
  await calls.ok(listDeletionRequests, { pageSize: 1 }, ada);
  await calls.refused(listDeletionRequests, { pageToken: "garbled" }, ada);
  const deletionRequestId = deletionRequest?.id ?? "";
  await calls.refused(approveDeletionRequest, { deletionRequestId }, ada);
  await calls.refused(approveDeletionRequest, { deletionRequestId: UNKNOWN_ID });
  await calls.refused(approveDeletionRequest, { deletionRequestId }, { key: "reader" });
  await calls.ok(rejectDeletionRequest, { deletionRequestId });
  await calls.ok(rejectDeletionRequest, { deletionRequestId }, ada);
  await calls.refused(rejectDeletionRequest, { deletionRequestId: "nothing" });
  await calls.refused(approveDeletionRequest, { deletionRequestId });
}

export const operationScripts: readonly Script[] = [
  { service: OperationService, run: operations },
  { service: PrivacyService, run: privacy },
  { service: DeletionRequestService, run: deletionRequests },
];
