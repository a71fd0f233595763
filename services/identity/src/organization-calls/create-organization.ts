// CreateOrganization: creates an organization with the calling user as its owner.
import { create } from "@bufbuild/protobuf";
import {
  CreateOrganizationResponseSchema,
  type OrganizationService,
} from "@muster/contracts/muster/identity/v1/organization_service_pb";
import type { OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { countOwnedOrganizations } from "../memberships/membership-store.ts";
import { insertOwnedOrganization } from "../organizations/insert-owned-organization.ts";
import { createdOrganization, requireTimeZone, TIME_ZONE_DEFAULT } from "../organizations/organization.ts";
import { organizationToProto } from "../organizations/organization-proto.ts";
import { lockUser } from "../users/user-store.ts";

export function createOrganization(
  deps: IdentityDeps,
): UnaryHandler<typeof OrganizationService.method.createOrganization> {
  return async (request, context) => {
    const timeZone = requireTimeZone(request.timeZone ?? TIME_ZONE_DEFAULT, "time_zone");
    const nowMs = deps.clock.nowMs();
    const id = deps.ids.next<OrganizationId>(nowMs);
    const organization = createdOrganization({ id, name: request.name, createTimeMs: nowMs, timeZone });
    const userId = context.user.id;
    return writeTransaction(deps, context, async (trx, write) => {
      // The lock lets one creation of a user count at a time.
      const user = await lockUser(trx, userId);
      if (user === undefined) throw new AppError("SESSION_ENDED");
      await requireRoom(trx, userId, deps.organizationsPerUserMax);
      await insertOwnedOrganization(trx, write, organization, user);
      return create(CreateOrganizationResponseSchema, {
        organization: organizationToProto({ ...organization, memberCount: 1 }),
      });
    });
  };
}

async function requireRoom(trx: Transaction, userId: UserId, max: number): Promise<void> {
  if ((await countOwnedOrganizations(trx, userId, max)) < max) return;
  throw new AppError("ORGANIZATION_LIMIT", { details: { organizations_max: String(max) } });
}
