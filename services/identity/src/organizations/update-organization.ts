// UpdateOrganization: changes the fields named by the mask, of the caller's own organization.
import { create } from "@bufbuild/protobuf";
import {
  type OrganizationService,
  type UpdateOrganizationRequest,
  UpdateOrganizationResponseSchema,
} from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { AppError, invalidField } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import { changedPaths, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { type Organization, requireTimeZone, TIME_ZONE_DEFAULT } from "./organization.ts";
import { organizationUpdated } from "./organization-events.ts";
import { organizationToProto } from "./organization-proto.ts";
import { lockOrganization, saveOrganization } from "./organization-store.ts";

type Changes = Partial<Pick<Organization, "name" | "timeZone">>;

/** Fields by mask path. */
const FIELDS = { name: "name", time_zone: "timeZone" } as const;

export function updateOrganization(
  deps: IdentityDeps,
): UnaryHandler<typeof OrganizationService.method.updateOrganization> {
  return async (request, context) => {
    const changes = changesOf(request);
    // Another organization is reported as not found, like an unknown id.
    if (request.organizationId !== context.organizationId) throw new AppError("ORGANIZATION_NOT_FOUND");
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const before = await lockOrganization(trx, context.organizationId);
      if (before === undefined) throw new AppError("ORGANIZATION_NOT_FOUND");
      const after: Organization = { ...before, ...changes };
      await saveOrganization(trx, after);
      if (hasChanged(before, after)) write.publish(organizationUpdated(after, nowMs));
      return create(UpdateOrganizationResponseSchema, { organization: organizationToProto(after) });
    });
  };
}

function hasChanged(before: Organization, after: Organization): boolean {
  return before.name !== after.name || before.timeZone !== after.timeZone;
}

function changesOf(request: UpdateOrganizationRequest): Changes {
  const { organization } = request;
  const changes: { -readonly [K in keyof Changes]: Changes[K] } = {};
  for (const path of changedPaths(request.updateMask, organization, FIELDS)) {
    if (path === "name") {
      if (organization?.name === undefined) throw invalidField("organization.name", "can't be cleared");
      changes.name = organization.name;
    } else {
      const { timeZone = TIME_ZONE_DEFAULT } = organization ?? {};
      changes.timeZone = requireTimeZone(timeZone, "organization.time_zone");
    }
  }
  return changes;
}
