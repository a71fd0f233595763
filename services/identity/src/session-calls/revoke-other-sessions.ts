// RevokeOtherSessions: ends all sessions of the caller but the calling one.
import { create } from "@bufbuild/protobuf";
import {
  RevokeOtherSessionsResponseSchema,
  type SessionService,
} from "@muster/contracts/muster/identity/v1/session_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import { lockUser } from "../users/user-store.ts";

export function revokeOtherSessions(
  deps: IdentityDeps,
): UnaryHandler<typeof SessionService.method.revokeOtherSessions> {
  return (_request, context) =>
    writeTransaction(deps, context, async (trx, write) => {
      const { user, client } = context;
      // A login at the same time has committed its session, or begins after this transaction.
      await lockUser(trx, user.id);
      const selection = { userId: user.id, exceptSessionId: user.sessionId };
      const ended = await endSessionsOf(deps, trx, write, selection);
      if (ended.length > 0) {
        const timeMs = deps.clock.nowMs();
        await insertActivity(trx, deps, { userId: user.id, kind: "session_ended", timeMs, client });
      }
      return create(RevokeOtherSessionsResponseSchema);
    });
}
