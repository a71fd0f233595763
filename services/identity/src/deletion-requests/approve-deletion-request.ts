// ApproveDeletionRequest: ends the membership of a person, and begins the erasure of the data.
import { create } from "@bufbuild/protobuf";
import { mayGrantOrTake } from "@muster/authz";
import {
  ApproveDeletionRequestResponseSchema,
  type DeletionRequestService,
} from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { OperationSchema, OperationState } from "@muster/contracts/muster/identity/v1/operation_pb";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { type Write, writeTransaction } from "@muster/outbox";
import type { CallContext, UnaryHandler } from "@muster/rpc";
import { findResponsibleUser } from "../api-keys/responsible-user.ts";
import {
  type DeletionCounts,
  type DeletionRequest,
  ERASURE_PERMISSION,
  USER_ERASURE_KIND,
} from "../deletion-request-storage/deletion-request.ts";
import { saveDeletionRequest } from "../deletion-request-storage/deletion-request-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { type Actor, requireRank } from "../membership-rules/actor.ts";
import { findMembership } from "../memberships/membership-store.ts";
import { findRemovedMembership } from "../memberships/removed-membership-store.ts";
import type { NewOperation } from "../operations/operation.ts";
import { newOperationToProto, operationToProto } from "../operations/operation-proto.ts";
import { endPerson } from "./end-person.ts";
import { lockRequest } from "./lock-request.ts";
import { mailPerson } from "./mail-person.ts";

export function approveDeletionRequest(
  deps: IdentityDeps,
): UnaryHandler<typeof DeletionRequestService.method.approveDeletionRequest> {
  return (message, context) => {
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { actor, request } = await lockRequest(trx, context, message.deletionRequestId);
      await requireOther(trx, context, request);
      if (request.state === "rejected") throw new AppError("DELETION_REQUEST_DECIDED");
      const operation =
        request.state === "approved"
          ? await continuedOperation(deps, trx, write, { context, request })
          : newOperationToProto(await approve(deps, trx, write, { context, actor, request, nowMs }));
      return create(ApproveDeletionRequestResponseSchema, { operation });
    });
  };
}

/** SELF_APPROVAL for the requester: the same credential, or the same user behind two credentials. */
async function requireOther(
  trx: Transaction,
  { organizationId, principal }: Pick<CallContext, "organizationId" | "principal">,
  { requester, requesterUserId }: DeletionRequest,
): Promise<void> {
  const userId = await findResponsibleUser(trx, organizationId, principal);
  const isSame = requester.kind === principal.kind && requester.id === principal.id;
  if (isSame || (userId !== undefined && userId === requesterUserId)) throw new AppError("SELF_APPROVAL");
}

/** The operation of an approved request. An erasure that was given up begins again, without the erased rows. */
async function continuedOperation(
  deps: IdentityDeps,
  trx: Transaction,
  write: Pick<Write, "afterCommit">,
  { context: { principal }, request }: Pick<Approval, "context" | "request">,
) {
  const { id, organizationId, userId, counts = {}, createTimeMs, decideTimeMs = createTimeMs } = request;
  const operation = await deps.operations.find(trx, id);
  const isOver = request.completeTimeMs !== undefined;
  if (operation !== undefined && (isOver || operation.state !== "failed")) return operationToProto(operation);
  // Operations are deleted a month after their end; the request stays.
  if (isOver) return create(OperationSchema, { ...SUCCEEDED, id });
  const requester = { kind: principal.kind, id: principal.id };
  const restarted = erasureOf({ id, organizationId, userId, requester, counts, createTimeMs: decideTimeMs });
  await deps.operations.restart(trx, restarted);
  write.afterCommit(() => deps.wakeOperations());
  return newOperationToProto(restarted);
}

const SUCCEEDED = { kind: USER_ERASURE_KIND, state: OperationState.SUCCEEDED, progress: 100 } as const;

/** The work of an approved request. Sessions from after the create time are not erased. */
function erasureOf({
  userId,
  counts,
  ...operation
}: Pick<DeletionRequest, "id" | "organizationId" | "userId" | "requester"> & {
  readonly counts: DeletionCounts;
  readonly createTimeMs: number;
}): NewOperation {
  const input = { user_id: userId, counts };
  return { ...operation, kind: USER_ERASURE_KIND, permission: ERASURE_PERMISSION, input };
}

interface Approval {
  readonly context: Pick<CallContext, "principal">;
  readonly actor: Actor;
  readonly request: DeletionRequest;
  readonly nowMs: number;
}

async function approve(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  { context: { principal }, actor, request, nowMs }: Approval,
): Promise<NewOperation> {
  const { id, organizationId, userId } = request;
  const membership = await findMembership(trx, organizationId, userId);
  const role = (membership ?? (await findRemovedMembership(trx, organizationId, userId)))?.role;
  if (role !== undefined) requireRank(mayGrantOrTake(actor.role, role));
  const decision = { state: "approved", deciderId: principal.id, decideTimeMs: nowMs } as const;
  await saveDeletionRequest(trx, { ...request, ...decision });
  const operation = erasureOf({
    id,
    organizationId,
    userId,
    requester: { kind: principal.kind, id: principal.id },
    counts: { "identity.memberships": role === undefined ? 0 : 1 },
    createTimeMs: nowMs,
  });
  await deps.operations.insert(trx, operation);
  await mailPerson(deps, trx, write, request, { kind: "erasure_approved", nowMs });
  write.afterCommit(() => deps.wakeOperations());
  await endPerson(deps, trx, write, { organizationId, userId, nowMs });
  return operation;
}
