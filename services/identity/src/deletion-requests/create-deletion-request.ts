// CreateDeletionRequest: requests the erasure of a person's data in the caller's organization.
import { create } from "@bufbuild/protobuf";
import {
  CreateDeletionRequestResponseSchema,
  type DeletionRequestService,
} from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import type { OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { findResponsibleUser } from "../api-keys/responsible-user.ts";
import type { DeletionRequest } from "../deletion-request-storage/deletion-request.ts";
import {
  insertDeletionRequest,
  lockPendingRequest,
  saveDeletionRequest,
} from "../deletion-request-storage/deletion-request-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { readActor, requirePermitted } from "../membership-rules/actor.ts";
import { lockOrganizations, requireRemainingOwner } from "../membership-rules/last-owner.ts";
import { lockMembership } from "../memberships/membership-store.ts";
import { findRemovedMembership } from "../memberships/removed-membership-store.ts";
import { requireUserId } from "../users/user-id.ts";
import { deletionRequestToProto } from "./deletion-request-proto.ts";
import { mailPerson } from "./mail-person.ts";

const PERMISSION = "users.update";

export function createDeletionRequest(
  deps: IdentityDeps,
): UnaryHandler<typeof DeletionRequestService.method.createDeletionRequest> {
  return (message, context) => {
    const { organizationId, principal } = context;
    const userId = requireUserId(message.userId);
    const nowMs = deps.clock.nowMs();
    const wanted: DeletionRequest = {
      id: deps.ids.next(nowMs),
      organizationId,
      userId,
      state: "pending",
      requester: { kind: principal.kind, id: principal.id },
      requesterUserId: undefined,
      deciderId: undefined,
      createTimeMs: nowMs,
      decideTimeMs: undefined,
      completeTimeMs: undefined,
      counts: undefined,
    };
    return writeTransaction(deps, context, async (trx, write) => {
      // The lock lets a single request about a person be pending.
      await lockOrganizations(trx, [organizationId]);
      const actor = await readActor(trx, context, PERMISSION);
      if (actor.userId !== userId) requirePermitted(actor, PERMISSION);
      await requireErasable(trx, organizationId, userId);
      const pending = await lockPendingRequest(trx, organizationId, userId);
      const requesterUserId = await findResponsibleUser(trx, organizationId, principal);
      const own = { ...wanted, requesterUserId };
      const request = pending === undefined ? own : takenOver(pending, own);
      if (pending === undefined) {
        await insertDeletionRequest(trx, request);
        await mailPerson(deps, trx, write, request, { kind: "erasure_requested", nowMs });
      } else await saveDeletionRequest(trx, request);
      return create(CreateDeletionRequestResponseSchema, {
        deletionRequest: deletionRequestToProto(request),
      });
    });
  };
}

/** A person who repeats the request becomes the requester, so that the earlier requester can approve. */
function takenOver(pending: DeletionRequest, own: DeletionRequest): DeletionRequest {
  const { requester, requesterUserId, userId } = own;
  const isPerson = requester.kind === "user" && requester.id === userId;
  return isPerson ? { ...pending, requester, requesterUserId } : pending;
}

/** USER_NOT_FOUND for a person without a membership, also without a removed membership. */
async function requireErasable(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<void> {
  const membership = await lockMembership(trx, organizationId, userId);
  if (membership?.role === "owner" && membership.status === "active") {
    await requireRemainingOwner(trx, organizationId, userId);
  }
  const known = membership ?? (await findRemovedMembership(trx, organizationId, userId));
  if (known === undefined) throw new AppError("USER_NOT_FOUND");
}
