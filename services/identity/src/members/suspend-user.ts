// SuspendUser: ends the access of a member until ReinstateUser.
import { create } from "@bufbuild/protobuf";
import { mayChange } from "@muster/authz";
import {
  SuspendUserResponseSchema,
  type UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { type Write, writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { voidInvitationsOf } from "../invitations/void-invitations.ts";
import { requirePermitted, requireRank } from "../membership-rules/actor.ts";
import { requireRemainingOwner } from "../membership-rules/last-owner.ts";
import { notifyMember } from "../membership-rules/notify-member.ts";
import type { Membership } from "../memberships/membership.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import { memberChanged } from "../users/user-events.ts";
import { requireUserId } from "../users/user-id.ts";
import { changeMembership, lockMember, readMember } from "./locked-member.ts";

const PERMISSION = "users.update";

export function suspendUser(deps: IdentityDeps): UnaryHandler<typeof UserService.method.suspendUser> {
  return async (request, context) => {
    const userId = requireUserId(request.userId);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { actor, membership } = await lockMember(trx, context, userId, PERMISSION);
      requirePermitted(actor, PERMISSION);
      requireRank(mayChange(actor.role, membership.role));
      if (membership.status === "invited") throw new AppError("USER_INVITED");
      const isSuspended = membership.status === "suspended";
      const after = isSuspended ? membership : await suspend(deps, trx, write, membership, nowMs);
      return create(SuspendUserResponseSchema, { user: await readMember(trx, after) });
    });
  };
}

async function suspend(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  before: Membership,
  nowMs: number,
): Promise<Membership> {
  const { organizationId, userId } = before;
  if (before.role === "owner") await requireRemainingOwner(trx, organizationId, userId);
  const after = await changeMembership(trx, before, { status: "suspended" }, nowMs);
  await voidInvitationsOf(trx, organizationId, userId);
  write.publish(memberChanged("suspended", after, nowMs));
  await notifyMember(deps, trx, write, after, { kind: "membership_suspended", nowMs });
  await endSessionsOf(deps, trx, write, { userId, organizationId });
  return after;
}
