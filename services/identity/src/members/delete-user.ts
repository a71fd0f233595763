// DeleteUser: removes a member from the caller's organization, until a restore.
import { create } from "@bufbuild/protobuf";
import { mayGrantOrTake } from "@muster/authz";
import {
  DeleteUserResponseSchema,
  type UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { requireKeyPermission, revokeKeysOf } from "../api-key-calls/revoke-keys-of.ts";
import type { IdentityDeps } from "../deps.ts";
import { requirePermitted, requireRank } from "../membership-rules/actor.ts";
import { endMembership } from "../membership-rules/end-membership.ts";
import { requireUserId } from "../users/user-id.ts";
import { lockMember } from "./locked-member.ts";

const PERMISSION = "users.delete";

export function deleteUser(deps: IdentityDeps): UnaryHandler<typeof UserService.method.deleteUser> {
  return async (request, context) => {
    const userId = requireUserId(request.userId);
    const { organizationId } = context;
    const nowMs = deps.clock.nowMs();
    if (request.revokeApiKeys) requireKeyPermission(context);
    return writeTransaction(deps, context, async (trx, write) => {
      const { actor, membership } = await lockMember(trx, context, userId, PERMISSION);
      requirePermitted(actor, PERMISSION);
      requireRank(mayGrantOrTake(actor.role, membership.role));
      const endedKeys = request.revokeApiKeys
        ? await revokeKeysOf(trx, write, organizationId, userId, nowMs)
        : [];
      await endMembership(deps, trx, write, { organizationId, userId, reason: "removed", nowMs, endedKeys });
      return create(DeleteUserResponseSchema);
    });
  };
}
