// ExportUser: begins an export of what the caller's organization holds about a person.
import { create } from "@bufbuild/protobuf";
import {
  ExportUserResponseSchema,
  type PrivacyService,
} from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { lockMembership } from "../memberships/membership-store.ts";
import type { NewOperation } from "../operations/operation.ts";
import { newOperationToProto } from "../operations/operation-proto.ts";
import { requireUserId } from "../users/user-id.ts";
import { EXPORT_KIND, EXPORT_PERMISSION, EXPORTS_MAX } from "./export.ts";
import { countExports, insertExport } from "./export-store.ts";

const RETRY_AFTER_MS = 3_600_000;

export function exportUser(deps: IdentityDeps): UnaryHandler<typeof PrivacyService.method.exportUser> {
  return (request, context) => {
    const { organizationId, principal } = context;
    const userId = requireUserId(request.userId);
    const nowMs = deps.clock.nowMs();
    const operation: NewOperation = {
      id: deps.ids.next(nowMs),
      kind: EXPORT_KIND,
      organizationId,
      requester: { kind: principal.kind, id: principal.id },
      permission: EXPORT_PERMISSION,
      input: { user_id: userId },
      createTimeMs: nowMs,
    };
    return writeTransaction(deps, context, async (trx, write) => {
      // The lock lets one such call at a time count.
      const membership = await lockMembership(trx, organizationId, userId);
      if (membership === undefined) throw new AppError("USER_NOT_FOUND");
      if ((await countExports(trx, organizationId, userId, EXPORTS_MAX)) >= EXPORTS_MAX) {
        throw new AppError("OVERLOADED", { retryAfterMs: RETRY_AFTER_MS });
      }
      await deps.operations.insert(trx, operation);
      const { id, requester } = operation;
      await insertExport(trx, { id, organizationId, userId, requester, createTimeMs: nowMs });
      write.afterCommit(() => deps.wakeOperations());
      return create(ExportUserResponseSchema, { operation: newOperationToProto(operation) });
    });
  };
}
