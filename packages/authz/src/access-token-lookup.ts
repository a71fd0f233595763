// Looks access tokens up: verifies the signature with a published key, then finds the session in identity.
import type { Clock, OrganizationId, SessionId, SigningKeyId, UserId } from "@muster/core";
import {
  hasExpired,
  isAccessToken,
  readAccessToken,
  signingKeyIdOf,
  type VerifiedAccessToken,
} from "./access-token.ts";
import { type CredentialLookup, type Finding, type Refusal, UNAUTHENTICATED } from "./credential-lookup.ts";
import { type PublishedKeyLookup, PublishedKeys } from "./published-keys.ts";
import { permissionsOf, permissionsOfRole } from "./roles/permissions.ts";
import type { Role } from "./roles/role.ts";

/** A session that has not ended, as stored by identity. */
export interface SessionRecord {
  readonly userId: UserId;
  readonly organizationId: OrganizationId | undefined;
  /** The role of the active membership; undefined without an organization. */
  readonly role: Role | undefined;
  readonly authenticatedMs: number | undefined;
  readonly stepUpMethods: readonly string[];
  /** The organization requires a second factor, and the user has none. */
  readonly needsSecondFactor: boolean;
  /** Epoch ms of the end of the session. */
  readonly expireTimeMs: number;
}

/**
 * Finds a session. "UNAUTHENTICATED" when identity has withdrawn the signing key, "SESSION_ENDED" when the session has
 * ended, however it ended. Rejects when identity is unreachable.
 */
export type SessionLookup = (
  sessionId: SessionId,
  signingKeyId: SigningKeyId,
) => Promise<SessionRecord | Refusal>;

export interface AccessTokenLookups {
  readonly publishedKeys: PublishedKeyLookup;
  readonly session: SessionLookup;
}

export function accessTokenCredentials(lookups: AccessTokenLookups, clock: Clock): CredentialLookup {
  const keys = new PublishedKeys({ lookup: lookups.publishedKeys, clock });
  return {
    hasForm: isAccessToken,
    hasExpired: (text) => hasExpired(text, clock.nowMs()),
    async find(text) {
      const signingKeyId = signingKeyIdOf(text);
      if (signingKeyId === undefined) return UNAUTHENTICATED;
      const key = await keys.find(signingKeyId);
      if (key === undefined) return UNAUTHENTICATED;
      const token = readAccessToken(text, { key, signingKeyId, nowMs: clock.nowMs() });
      if (token === undefined) return UNAUTHENTICATED;
      const session = await lookups.session(token.sessionId, token.signingKeyId);
      return typeof session === "string" ? { refusal: session } : findingOf(token, session);
    },
  };
}

function findingOf(token: VerifiedAccessToken, session: SessionRecord): Finding {
  const { userId, sessionId, organizationId, signingKeyId } = token;
  if (session.userId !== userId || session.organizationId !== organizationId) return UNAUTHENTICATED;
  const { role, authenticatedMs, stepUpMethods, needsSecondFactor } = session;
  return {
    principal: {
      kind: "user",
      id: userId,
      sessionId,
      organizationId,
      role,
      permissions: role === undefined ? permissionsOf([]) : permissionsOfRole(role),
      authenticatedMs,
      stepUpMethods,
      needsSecondFactor,
      signingKeyId,
      expireTimeMs: token.expireTimeMs,
    },
    endedBy: new Map<string, Refusal>([
      [sessionId, "SESSION_ENDED"],
      [userId, "SESSION_ENDED"],
      [signingKeyId, "UNAUTHENTICATED"],
      ...ofOrganization(organizationId),
    ]),
    end: { timeMs: session.expireTimeMs, refusal: "SESSION_ENDED" },
  };
}

/** A setting of the organization may change what its members may do. */
function ofOrganization(id: OrganizationId | undefined): [string, Refusal][] {
  return id === undefined ? [] : [[id, "SESSION_ENDED"]];
}
