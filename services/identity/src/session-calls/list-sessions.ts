// ListSessions: lists the live sessions of the caller, newest first.
import { SessionSchema, type SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import type { SessionId } from "@muster/core";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { sessionToProto } from "../sessions/session-proto.ts";
import { listSessionPage, type SessionCursor } from "../sessions/session-store.ts";

export function listSessions(deps: IdentityDeps): UnaryHandler<typeof SessionService.method.listSessions> {
  const { clock, database, pageTokens } = deps;
  return async (request, { user }) => {
    const nowMs = clock.nowMs();
    const { items, nextPageToken } = await readPage(
      pageTokens,
      `sessions/${user.id}`,
      request,
      cursorOf,
    ).fill({
      item: SessionSchema,
      read: (after, limit) => listSessionPage(database.reader, user.id, nowMs, after, limit),
      positionOf: ({ createTimeMs, id }) => [createTimeMs, id],
      toItems: (sessions) => sessions.map((session) => sessionToProto(session, user.sessionId)),
    });
    return { sessions: items, nextPageToken };
  };
}

function cursorOf([createTimeMs, id]: PagePosition): SessionCursor | undefined {
  if (typeof createTimeMs !== "number" || typeof id !== "string") return undefined;
  return { createTimeMs, id: id as SessionId };
}
