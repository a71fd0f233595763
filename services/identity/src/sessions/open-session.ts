// Opens sessions and issues the tokens of a session.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ACCESS_TOKEN_LIFETIME_S } from "@muster/authz";
import type { AccountTokensSchema } from "@muster/contracts/muster/identity/v1/user_pb";
import type { OrganizationId, SessionId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { ClientInfo } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { issueRefreshToken } from "./rotate-refresh-token.ts";
import { type AuthenticationMethod, expireTimeOf, type Session } from "./session.ts";
import { insertSession } from "./session-store.ts";

type SessionDeps = Pick<IdentityDeps, "ids" | "accessTokens">;

export interface NewSession {
  readonly userId: UserId;
  readonly organizationId: OrganizationId | undefined;
  readonly methods: readonly AuthenticationMethod[];
  /** When a password or a code was entered; undefined for a magic link alone. */
  readonly authenticatedTimeMs: number | undefined;
  readonly client: ClientInfo;
  readonly nowMs: number;
}

type Tokens = MessageInitShape<typeof AccountTokensSchema>;

/** The caller has locked the user, and the membership of the organization. */
export async function openSession(
  { ids, accessTokens }: SessionDeps,
  trx: Transaction,
  { userId, organizationId, methods, authenticatedTimeMs, client, nowMs }: NewSession,
): Promise<Tokens> {
  const session: Session = {
    id: ids.next<SessionId>(nowMs),
    userId,
    organizationId,
    createTimeMs: nowMs,
    lastUsedTimeMs: nowMs,
    authenticatedTimeMs,
    authenticationMethods: methods,
    expireTimeMs: 0,
    endTimeMs: undefined,
    client: client.userAgent,
    clientAddress: client.address,
  };
  await insertSession(trx, { ...session, expireTimeMs: expireTimeOf(session) });
  return tokensOf({ accessTokens }, session, await issueRefreshToken(trx, session.id), nowMs);
}

export async function tokensOf(
  { accessTokens }: Pick<SessionDeps, "accessTokens">,
  { id: sessionId, userId, organizationId }: Session,
  refreshToken: string,
  nowMs: number,
): Promise<Tokens> {
  return {
    accessToken: await accessTokens.sign({ userId, sessionId, organizationId, nowMs }),
    refreshToken,
    tokenType: "Bearer",
    expiresIn: ACCESS_TOKEN_LIFETIME_S,
  };
}
