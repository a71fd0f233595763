// Logout: ends the session of the caller.
import { create } from "@bufbuild/protobuf";
import {
  LogoutResponseSchema,
  type SessionService,
} from "@muster/contracts/muster/identity/v1/session_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";

export function logout(deps: IdentityDeps): UnaryHandler<typeof SessionService.method.logout> {
  return (_request, context) =>
    writeTransaction(deps, context, async (trx, write) => {
      const { user, client } = context;
      const selection = { userId: user.id, sessionId: user.sessionId };
      const ended = await endSessionsOf(deps, trx, write, selection);
      if (ended.length > 0) {
        const timeMs = deps.clock.nowMs();
        await insertActivity(trx, deps, { userId: user.id, kind: "logout", timeMs, client });
      }
      return create(LogoutResponseSchema);
    });
}
