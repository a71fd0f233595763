// RestoreUser: makes a removed member a member again.
import { create } from "@bufbuild/protobuf";
import { mayGrantOrTake } from "@muster/authz";
import {
  RestoreUserResponseSchema,
  type UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { type Write, writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { requirePermitted, requireRank } from "../membership-rules/actor.ts";
import { notifyMember } from "../membership-rules/notify-member.ts";
import type { Membership } from "../memberships/membership.ts";
import { findMembership, insertMembership } from "../memberships/membership-store.ts";
import { deleteRemovedMembership, findRemovedMembership } from "../memberships/removed-membership-store.ts";
import { memberChanged } from "../users/user-events.ts";
import { requireUserId } from "../users/user-id.ts";
import { lockActor, readMember } from "./locked-member.ts";

const PERMISSION = "users.delete";

export function restoreUser(deps: IdentityDeps): UnaryHandler<typeof UserService.method.restoreUser> {
  return async (request, context) => {
    const userId = requireUserId(request.userId);
    const { organizationId } = context;
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const actor = await lockActor(trx, context, PERMISSION);
      requirePermitted(actor, PERMISSION);
      const current = await findMembership(trx, organizationId, userId);
      if (current !== undefined) throw new AppError("USER_EXISTS");
      const removed = await findRemovedMembership(trx, organizationId, userId);
      if (removed === undefined) throw new AppError("USER_NOT_FOUND");
      requireRank(mayGrantOrTake(actor.role, removed.role));
      const restored = { ...removed, version: removed.version + 1, updateTimeMs: nowMs };
      await restore(deps, trx, write, restored, nowMs);
      return create(RestoreUserResponseSchema, { user: await readMember(trx, restored) });
    });
  };
}

async function restore(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  restored: Membership,
  nowMs: number,
): Promise<void> {
  await deleteRemovedMembership(trx, restored.organizationId, restored.userId);
  await insertMembership(trx, restored);
  write.publish(memberChanged("restored", restored, nowMs));
  const kind = restored.status === "active" ? "membership_reinstated" : "membership_suspended";
  await notifyMember(deps, trx, write, restored, { kind, nowMs });
}
