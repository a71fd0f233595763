// UpdateOrganization: changes the fields named by the mask, of the caller's own organization.
import { create } from "@bufbuild/protobuf";
import {
  type OrganizationService,
  type UpdateOrganizationRequest,
  UpdateOrganizationResponseSchema,
} from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { AppError, invalidField } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import { changedPaths, requireVersion, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { type Organization, requireTimeZone, TIME_ZONE_DEFAULT } from "../organizations/organization.ts";
import { organizationUpdated } from "../organizations/organization-events.ts";
import { organizationToProto } from "../organizations/organization-proto.ts";
import { lockOrganization, saveOrganization } from "../organizations/organization-store.ts";
import { announceChanges } from "../revocation/announce-changes.ts";

type Changes = Partial<Pick<Organization, "name" | "timeZone" | "requiresTwoFactor">>;

/** Fields by mask path. The version is compared, not changed. */
const FIELDS = {
  name: "name",
  time_zone: "timeZone",
  require_two_factor: "requireTwoFactor",
  version: "version",
} as const;

export function updateOrganization(
  deps: IdentityDeps,
): UnaryHandler<typeof OrganizationService.method.updateOrganization> {
  return async (request, context) => {
    const changes = changesOf(request);
    // An organization of others is reported as not found, like an unknown id.
    if (request.organizationId !== context.organizationId) throw new AppError("ORGANIZATION_NOT_FOUND");
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const before = await lockOrganization(trx, context.organizationId);
      if (before === undefined) throw new AppError("ORGANIZATION_NOT_FOUND");
      const { ifMatch, organization } = request;
      requireVersion({ ifMatch, version: organization?.version, current: before.version });
      const after = changed(before, changes, nowMs);
      if (after !== before) {
        await saveOrganization(trx, after);
        write.publish(organizationUpdated(after, nowMs));
      }
      if (after.requiresTwoFactor !== before.requiresTwoFactor) {
        await announceChanges(deps, trx, write, [after.id]);
      }
      return create(UpdateOrganizationResponseSchema, { organization: organizationToProto(after) });
    });
  };
}

/** Returns `before` for a request without changes. */
function changed(before: Organization, changes: Changes, nowMs: number): Organization {
  const after = { ...before, ...changes };
  const isSame =
    after.name === before.name &&
    after.timeZone === before.timeZone &&
    after.requiresTwoFactor === before.requiresTwoFactor;
  return isSame ? before : { ...after, version: before.version + 1, updateTimeMs: nowMs };
}

function changesOf(request: UpdateOrganizationRequest): Changes {
  const { organization } = request;
  const changes: { -readonly [K in keyof Changes]: Changes[K] } = {};
  for (const path of changedPaths(request.updateMask, organization, FIELDS)) {
    if (path === "name") {
      if (organization?.name === undefined) throw invalidField("organization.name", "can't be cleared");
      changes.name = organization.name;
    } else if (path === "require_two_factor") {
      changes.requiresTwoFactor = organization?.requireTwoFactor ?? false;
    } else if (path === "time_zone") {
      const { timeZone = TIME_ZONE_DEFAULT } = organization ?? {};
      changes.timeZone = requireTimeZone(timeZone, "organization.time_zone");
    }
  }
  return changes;
}
