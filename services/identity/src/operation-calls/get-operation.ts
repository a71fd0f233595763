// GetOperation: returns an operation to its requester, and to callers with the permission of what it does.
import type { Principal } from "@muster/authz";
import type { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { type Operation, requireOperationId } from "../operations/operation.ts";
import { operationToProto } from "../operations/operation-proto.ts";

export function getOperation({
  database,
  operations,
}: IdentityDeps): UnaryHandler<typeof OperationService.method.getOperation> {
  return async (request, { principal }) => {
    const operation = await operations.find(database.reader, requireOperationId(request.operationId));
    if (operation === undefined || !mayRead(principal, operation)) throw new AppError("OPERATION_NOT_FOUND");
    return { operation: operationToProto(operation) };
  };
}

function mayRead(principal: Principal, { requester, organizationId, permission }: Operation): boolean {
  if (principal.kind === requester.kind && principal.id === requester.id) return true;
  if (organizationId === undefined || permission === undefined) return false;
  if (principal.organizationId !== organizationId || !("permissions" in principal)) return false;
  return principal.permissions.has(permission);
}
