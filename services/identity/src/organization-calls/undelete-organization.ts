// UndeleteOrganization: revokes the requested deletion of the caller's own organization.
import { create } from "@bufbuild/protobuf";
import {
  type OrganizationService,
  UndeleteOrganizationResponseSchema,
} from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import type { Organization } from "../organizations/organization.ts";
import { organizationUpdated } from "../organizations/organization-events.ts";
import { organizationToProto } from "../organizations/organization-proto.ts";
import { lockOrganization, saveOrganization } from "../organizations/organization-store.ts";

export function undeleteOrganization(
  deps: IdentityDeps,
): UnaryHandler<typeof OrganizationService.method.undeleteOrganization> {
  return async (request, context) => {
    // An organization of others is reported as not found, like an unknown id.
    if (request.organizationId !== context.organizationId) throw new AppError("ORGANIZATION_NOT_FOUND");
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const before = await lockOrganization(trx, context.organizationId);
      if (before === undefined) throw new AppError("ORGANIZATION_NOT_FOUND");
      const after = before.deleteTimeMs === undefined ? before : kept(before, nowMs);
      if (after !== before) {
        await saveOrganization(trx, after);
        write.publish(organizationUpdated(after, nowMs));
      }
      return create(UndeleteOrganizationResponseSchema, { organization: organizationToProto(after) });
    });
  };
}

function kept(before: Organization, nowMs: number): Organization {
  return { ...before, deleteTimeMs: undefined, version: before.version + 1, updateTimeMs: nowMs };
}
