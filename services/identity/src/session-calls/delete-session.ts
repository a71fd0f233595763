// DeleteSession: ends a session of the caller.
import { create } from "@bufbuild/protobuf";
import {
  DeleteSessionResponseSchema,
  type SessionService,
} from "@muster/contracts/muster/identity/v1/session_service_pb";
import { isUuid, type SessionId } from "@muster/core";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";

export function deleteSession(deps: IdentityDeps): UnaryHandler<typeof SessionService.method.deleteSession> {
  return async ({ sessionId }, context) => {
    if (!isUuid(sessionId)) throw new AppError("SESSION_NOT_FOUND");
    return writeTransaction(deps, context, async (trx, write) => {
      const { user, client } = context;
      const selection = { userId: user.id, sessionId: sessionId as SessionId };
      const ended = await endSessionsOf(deps, trx, write, selection);
      if (ended.length === 0) throw new AppError("SESSION_NOT_FOUND");
      const timeMs = deps.clock.nowMs();
      await insertActivity(trx, deps, { userId: user.id, kind: "session_ended", timeMs, client });
      return create(DeleteSessionResponseSchema);
    });
  };
}
