// Locks a deletion request of the caller's organization for a decision.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import {
  type DeletionRequest,
  ERASURE_PERMISSION,
  requireDeletionRequestId,
} from "../deletion-request-storage/deletion-request.ts";
import { lockDeletionRequest } from "../deletion-request-storage/deletion-request-store.ts";
import { type Actor, readActor, requirePermitted } from "../membership-rules/actor.ts";
import { lockOrganizations } from "../membership-rules/last-owner.ts";

export interface LockedRequest {
  readonly actor: Actor;
  readonly request: DeletionRequest;
}

/** Locks the organization first, which lets one decision and one change of members at a time run. */
export async function lockRequest(
  trx: Transaction,
  context: Pick<CallContext, "principal" | "organizationId">,
  idText: string,
): Promise<LockedRequest> {
  const id = requireDeletionRequestId(idText);
  await lockOrganizations(trx, [context.organizationId]);
  const actor = await readActor(trx, context, ERASURE_PERMISSION);
  requirePermitted(actor, ERASURE_PERMISSION);
  const request = await lockDeletionRequest(trx, context.organizationId, id);
  if (request === undefined) throw new AppError("DELETION_REQUEST_NOT_FOUND");
  return { actor, request };
}
