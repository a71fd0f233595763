// Declares a session: a signed-in client of a user, with a family of refresh tokens. Pure.
import type { OrganizationId, SessionId, UserId } from "@muster/core";

/** How a user has proved to be the owner of the account. */
export type AuthenticationMethod = "password" | "totp" | "backup_code" | "magic_link";

export interface Session {
  readonly id: SessionId;
  readonly userId: UserId;
  readonly organizationId: OrganizationId | undefined;
  readonly createTimeMs: number;
  /** Of the last refresh. */
  readonly lastUsedTimeMs: number;
  /** When a password or a code was entered last. */
  readonly authenticatedTimeMs: number | undefined;
  readonly authenticationMethods: readonly AuthenticationMethod[];
  readonly expireTimeMs: number;
  /** Set when the session was ended before the expire time. */
  readonly endTimeMs: number | undefined;
  /** The user agent at the start. */
  readonly client: string;
  readonly clientAddress: string;
}

const DAY_MS = 86_400_000;
/** A session ends so long after the last use. */
export const SESSION_IDLE_MS = 7 * DAY_MS;
/** A session ends so long after the start. */
export const SESSION_LIFETIME_MS = 30 * DAY_MS;

export function expireTimeOf({ createTimeMs, lastUsedTimeMs }: Session): number {
  return Math.min(createTimeMs + SESSION_LIFETIME_MS, lastUsedTimeMs + SESSION_IDLE_MS);
}

export function isLive(session: Session, nowMs: number): boolean {
  return session.endTimeMs === undefined && nowMs < session.expireTimeMs;
}
