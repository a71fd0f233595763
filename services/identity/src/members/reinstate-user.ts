// ReinstateUser: gives a suspended member access again.
import { create } from "@bufbuild/protobuf";
import { mayChange } from "@muster/authz";
import {
  ReinstateUserResponseSchema,
  type UserService,
} from "@muster/contracts/muster/identity/v1/user_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { requirePermitted, requireRank } from "../membership-rules/actor.ts";
import { notifyMember } from "../membership-rules/notify-member.ts";
import { memberChanged } from "../users/user-events.ts";
import { requireUserId } from "../users/user-id.ts";
import { changeMembership, lockMember, readMember } from "./locked-member.ts";

const PERMISSION = "users.update";

export function reinstateUser(deps: IdentityDeps): UnaryHandler<typeof UserService.method.reinstateUser> {
  return async (request, context) => {
    const userId = requireUserId(request.userId);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const { actor, membership: before } = await lockMember(trx, context, userId, PERMISSION);
      requirePermitted(actor, PERMISSION);
      requireRank(mayChange(actor.role, before.role));
      if (before.status === "invited") throw new AppError("USER_INVITED");
      if (before.status === "active") {
        return create(ReinstateUserResponseSchema, { user: await readMember(trx, before) });
      }
      const after = await changeMembership(trx, before, { status: "active" }, nowMs);
      write.publish(memberChanged("reinstated", after, nowMs));
      await notifyMember(deps, trx, write, after, { kind: "membership_reinstated", nowMs });
      return create(ReinstateUserResponseSchema, { user: await readMember(trx, after) });
    });
  };
}
