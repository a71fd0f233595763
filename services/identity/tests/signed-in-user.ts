// Stores a user with a membership and a session, and signs an access token of the session.
import type { Role } from "@muster/authz";
import { type OrganizationId, randomIds, type SessionId, type UserId } from "@muster/core";
import type { Database } from "@muster/db";
import type { AccessTokens } from "../src/access-tokens/access-tokens.ts";
import type { MembershipStatus } from "../src/memberships/membership.ts";
import { insertMembership } from "../src/memberships/membership-store.ts";
import { SESSION_IDLE_MS } from "../src/sessions/session.ts";
import { insertSession } from "../src/sessions/session-store.ts";
import { insertUser } from "../src/users/user-store.ts";

export interface SignedInUser {
  readonly userId: UserId;
  readonly sessionId: SessionId;
  readonly organizationId: OrganizationId | undefined;
  readonly token: string;
}

export interface SignedInOptions {
  readonly database: Database;
  readonly accessTokens: AccessTokens;
  readonly nowMs: number;
  /** Without an organization the user has no membership. */
  readonly organizationId?: OrganizationId | undefined;
  /** By default a new user. */
  readonly userId?: UserId;
  readonly role?: Role;
  readonly status?: MembershipStatus;
  readonly authenticatedTimeMs?: number | undefined;
  readonly expireTimeMs?: number;
}

export async function signInUser(options: SignedInOptions): Promise<SignedInUser> {
  const { nowMs, organizationId } = options;
  const userId = options.userId ?? randomIds.next<UserId>(nowMs);
  const sessionId = randomIds.next<SessionId>(nowMs);
  await options.database.transaction(async (trx) => {
    if (options.userId === undefined) await insertUser(trx, userOf(userId, nowMs));
    if (organizationId !== undefined) {
      const { role = "member", status = "active" } = options;
      const times = { createTimeMs: nowMs, updateTimeMs: nowMs, lastLoginTimeMs: undefined };
      const counts = { loginCount: 0, version: 1 };
      await insertMembership(trx, { organizationId, userId, name: "Ada", role, status, ...times, ...counts });
    }
    await insertSession(trx, {
      id: sessionId,
      userId,
      organizationId,
      createTimeMs: nowMs,
      lastUsedTimeMs: nowMs,
      authenticatedTimeMs: options.authenticatedTimeMs,
      authenticationMethods: ["password"],
      expireTimeMs: options.expireTimeMs ?? nowMs + SESSION_IDLE_MS,
      endTimeMs: undefined,
      client: "",
      clientAddress: "",
    });
  });
  const token = await options.accessTokens.sign({ userId, sessionId, organizationId, nowMs });
  return { userId, sessionId, organizationId, token };
}

function userOf(id: UserId, nowMs: number): Parameters<typeof insertUser>[1] {
  const email = `${id}@example.com`;
  return {
    id,
    email,
    emailKey: email,
    isEmailVerified: true,
    name: "Ada",
    locale: undefined,
    passwordHash: "$argon2id$none",
    isPasswordResetRequired: false,
    securityVersion: 1,
    lastOrganizationId: undefined,
    createTimeMs: nowMs,
    updateTimeMs: nowMs,
  };
}
