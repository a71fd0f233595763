// RevokeUserSessions: ends the sessions of a member in the caller's organization.
import { create } from "@bufbuild/protobuf";
import { mayChange } from "@muster/authz";
import {
  RevokeUserSessionsResponseSchema,
  type UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { requirePermitted, requireRank } from "../membership-rules/actor.ts";
import { notifyMember } from "../membership-rules/notify-member.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import { requireUserId } from "../users/user-id.ts";
import { lockMember } from "./locked-member.ts";

const PERMISSION = "users.update";

export function revokeUserSessions(
  deps: IdentityDeps,
): UnaryHandler<typeof UserService.method.revokeUserSessions> {
  return async (request, context) => {
    const userId = requireUserId(request.userId);
    const { organizationId } = context;
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { actor, membership } = await lockMember(trx, context, userId, PERMISSION);
      requirePermitted(actor, PERMISSION);
      requireRank(mayChange(actor.role, membership.role));
      await notifyMember(deps, trx, write, membership, { kind: "membership_sessions_ended", nowMs });
      await endSessionsOf(deps, trx, write, { userId, organizationId });
      return create(RevokeUserSessionsResponseSchema);
    });
  };
}
