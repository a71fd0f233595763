// LeaveOrganization: ends the caller's own membership.
import { create } from "@bufbuild/protobuf";
import {
  LeaveOrganizationResponseSchema,
  type UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { endMembership } from "../membership-rules/end-membership.ts";
import { lockOrganizations } from "../membership-rules/last-owner.ts";

export function leaveOrganization(
  deps: IdentityDeps,
): UnaryHandler<typeof UserService.method.leaveOrganization> {
  return async (_request, context) => {
    const { id: userId, organizationId } = context.user;
    if (organizationId === undefined) throw new AppError("ORGANIZATION_REQUIRED");
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      await lockOrganizations(trx, [organizationId]);
      const end = { organizationId, userId, reason: "left", nowMs } as const;
      const ended = await endMembership(deps, trx, write, end);
      if (ended === undefined) throw new AppError("SESSION_ENDED");
      return create(LeaveOrganizationResponseSchema);
    });
  };
}
