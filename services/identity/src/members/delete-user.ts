// DeleteUser: removes a member from the caller's organization, until a restore; on request with the keys of the member.
import { create } from "@bufbuild/protobuf";
import { mayGrantOrTake } from "@muster/authz";
import {
  type DeleteUserResponse,
  DeleteUserResponseSchema,
  type UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { WITHOUT_CALL, writeTransaction } from "@muster/outbox";
import type { CallContext, UnaryHandler } from "@muster/rpc";
import {
  MoreKeys,
  requireKeyPermission,
  revokeKeysOf,
  revokeSomeKeysOf,
} from "../api-key-calls/revoke-keys-of.ts";
import type { IdentityDeps } from "../deps.ts";
import { requirePermitted, requireRank } from "../membership-rules/actor.ts";
import { endMembership, requireDispensable } from "../membership-rules/end-membership.ts";
import type { Membership } from "../memberships/membership.ts";
import { announceRevocations } from "../revocation/announce-revocations.ts";
import { countRevocations } from "../revocation/revocation-count-store.ts";
import { requireUserId } from "../users/user-id.ts";
import { lockMember } from "./locked-member.ts";

const PERMISSION = "users.delete";

export function deleteUser(deps: IdentityDeps): UnaryHandler<typeof UserService.method.deleteUser> {
  return async (request, context) => {
    const userId = requireUserId(request.userId);
    if (!request.revokeApiKeys) return removeMember(deps, context, userId, false);
    requireKeyPermission(context);
    while (true) {
      try {
        return await removeMember(deps, context, userId, true);
      } catch (error) {
        if (!(error instanceof MoreKeys)) throw error;
      }
      context.signal.throwIfAborted();
      await revokeSomeKeys(deps, context, userId);
    }
  };
}

/** Throws MoreKeys for a member with more keys than one transaction ends. */
function removeMember(
  deps: IdentityDeps,
  context: CallContext,
  userId: UserId,
  revokesKeys: boolean,
): Promise<DeleteUserResponse> {
  const { organizationId } = context;
  const nowMs = deps.clock.nowMs();
  return writeTransaction(deps, context, async (trx, write) => {
    await lockRemovable(trx, context, userId);
    const keys = { organizationId, createdBy: userId };
    const endedKeys = revokesKeys ? await revokeKeysOf(trx, write, keys, nowMs) : [];
    await endMembership(deps, trx, write, { organizationId, userId, reason: "removed", nowMs, endedKeys });
    return create(DeleteUserResponseSchema);
  });
}

/** Ends the oldest keys of a member who is about to be removed, after the checks of the removal. */
async function revokeSomeKeys(deps: IdentityDeps, context: CallContext, userId: UserId): Promise<void> {
  const { organizationId, traceParent } = context;
  const nowMs = deps.clock.nowMs();
  await writeTransaction(deps, { ...WITHOUT_CALL, traceParent }, async (trx, write) => {
    await requireDispensable(trx, await lockRemovable(trx, context, userId));
    const ended = await revokeSomeKeysOf(trx, write, { organizationId, createdBy: userId }, nowMs);
    const revocations = await countRevocations(
      trx,
      ended.map((credentialId) => ({ credentialId, hasEnded: true })),
    );
    write.afterCommit(() => announceRevocations(deps, revocations));
    return create(DeleteUserResponseSchema);
  });
}

async function lockRemovable(trx: Transaction, context: CallContext, userId: UserId): Promise<Membership> {
  const { actor, membership } = await lockMember(trx, context, userId, PERMISSION);
  requirePermitted(actor, PERMISSION);
  requireRank(mayGrantOrTake(actor.role, membership.role));
  return membership;
}
