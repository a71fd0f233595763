// RefreshToken: replaces a refresh token. A second use after the grace period ends the session.
import { create } from "@bufbuild/protobuf";
import {
  RefreshTokenResponseSchema,
  type SessionService,
} from "@muster/contracts/muster/identity/v1/session_service_pb";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { Refusal, type Write, writeTransaction } from "@muster/outbox";
import type { ClientInfo, UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { findMembership } from "../memberships/membership-store.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import { tokensOf } from "../sessions/open-session.ts";
import { rotateRefreshToken } from "../sessions/rotate-refresh-token.ts";
import type { Session } from "../sessions/session.ts";
import { findUser } from "../users/user-store.ts";

export function refreshToken(deps: IdentityDeps): UnaryHandler<typeof SessionService.method.refreshToken> {
  return async (request, context) => {
    const nowMs = deps.clock.nowMs();
    const databaseNowMs = await deps.database.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const rotation = await rotateRefreshToken(trx, request.refreshToken, { nowMs, databaseNowMs });
      if (rotation.kind === "unknown") throw new AppError("UNAUTHENTICATED");
      if (rotation.kind === "ended") throw new AppError("SESSION_ENDED");
      const { session } = rotation;
      if (rotation.kind === "reused") {
        await endReused(deps, trx, write, session, context.client);
        throw new Refusal(new AppError("SESSION_ENDED"));
      }
      if (!(await mayContinue(trx, session))) throw new AppError("SESSION_ENDED");
      const tokens = await tokensOf(deps, session, rotation.token, nowMs);
      return create(RefreshTokenResponseSchema, { tokens });
    });
  };
}

/** Two clients have the token, and either may be a thief: both must sign in again. */
async function endReused(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  { id: sessionId, userId }: Session,
  client: ClientInfo,
): Promise<void> {
  await endSessionsOf(deps, trx, write, { userId, sessionId });
  const user = await findUser(trx, userId);
  if (user === undefined) return;
  const timeMs = deps.clock.nowMs();
  await insertActivity(trx, deps, { userId, kind: "refresh_token_reused", timeMs, client });
  await deps.mailer.queue(trx, {
    to: user.email,
    kind: "refresh_token_reuse",
    locale: user.locale,
    values: { name: user.name, time: new Date(timeMs).toISOString() },
  });
  write.afterCommit(() => deps.mailer.wake());
}

/** Calls that remove a user or a membership also end the sessions. The check also covers a call that does not. */
async function mayContinue(trx: Transaction, { userId, organizationId }: Session): Promise<boolean> {
  if (organizationId === undefined) return (await findUser(trx, userId)) !== undefined;
  return (await findMembership(trx, organizationId, userId))?.status === "active";
}
