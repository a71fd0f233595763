// VerifySession: finds the session of an access token, with the user's role and whether the session still counts.
import {
  type AccessTokenLookups,
  roleToProto,
  type SessionLookup,
  type SessionRecord,
  sessionRefusal,
} from "@muster/authz";
import type { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { bytesToUuid, type Clock, uuidToBytes } from "@muster/core";
import type { Database, Queryable } from "@muster/db";
import type { UnaryHandler } from "@muster/rpc";
import { findMembership } from "../memberships/membership-store.ts";
import { findOrganization } from "../organizations/organization-store.ts";
import { isLive, type Session } from "../sessions/session.ts";
import { findSession } from "../sessions/session-store.ts";
import { listPublishedKeys } from "../signing-keys/list-published-keys.ts";
import { isPublished } from "../signing-keys/signing-key.ts";
import { findSigningKey } from "../signing-keys/signing-key-store.ts";
import { hasSecondFactor, stepUpMethods } from "../two-factor/second-factor.ts";
import { findUser } from "../users/user-store.ts";

interface Deps {
  readonly database: Database;
  readonly clock: Clock;
}

/** Reads identity's own database: for the processes that run identity. */
export function ownAccessTokenLookups(deps: Deps): AccessTokenLookups {
  return { publishedKeys: () => listPublishedKeys(deps), session: ownSessionLookup(deps) };
}

function ownSessionLookup({ database, clock }: Deps): SessionLookup {
  return async (sessionId, signingKeyId) => {
    const { reader } = database;
    const nowMs = clock.nowMs();
    const [key, session] = await Promise.all([
      findSigningKey(reader, signingKeyId),
      findSession(reader, sessionId),
    ]);
    if (key === undefined || !isPublished(key, nowMs)) return "UNAUTHENTICATED";
    if (session === undefined || !isLive(session, nowMs)) return "SESSION_ENDED";
    return (await recordOf(reader, session, nowMs)) ?? "SESSION_ENDED";
  };
}

/** Undefined when the user, the organization or the active membership is gone. */
async function recordOf(
  queryable: Queryable,
  { userId, organizationId, authenticatedTimeMs, expireTimeMs }: Session,
  nowMs: number,
): Promise<SessionRecord | undefined> {
  const [user, membership, organization] = await Promise.all([
    findUser(queryable, userId),
    organizationId === undefined ? undefined : findMembership(queryable, organizationId, userId),
    organizationId === undefined ? undefined : findOrganization(queryable, organizationId),
  ]);
  if (user === undefined) return undefined;
  if (organizationId !== undefined && (organization === undefined || membership?.status !== "active"))
    return undefined;
  const requiresFactor = organization?.requiresTwoFactor === true;
  return {
    userId,
    organizationId,
    role: membership?.role,
    authenticatedMs: authenticatedTimeMs,
    stepUpMethods: await stepUpMethods(queryable, user, nowMs),
    needsSecondFactor: requiresFactor && !(await hasSecondFactor(queryable, user, nowMs)),
    expireTimeMs,
  };
}

export function verifySession(deps: Deps): UnaryHandler<typeof CredentialService.method.verifySession> {
  const lookup = ownSessionLookup(deps);
  return async ({ sessionId, signingKeyId }) => {
    const found = await lookup(bytesToUuid(sessionId), bytesToUuid(signingKeyId));
    if (typeof found === "string") throw sessionRefusal(found);
    const { userId, organizationId, role, authenticatedMs, expireTimeMs } = found;
    return {
      userId: uuidToBytes(userId),
      organizationId: organizationId === undefined ? new Uint8Array() : uuidToBytes(organizationId),
      role: roleToProto(role),
      authenticatedTimeMs: BigInt(authenticatedMs ?? 0),
      stepUpMethods: [...found.stepUpMethods],
      needsSecondFactor: found.needsSecondFactor,
      expireTimeMs: BigInt(expireTimeMs),
    };
  };
}
