// Declares a user: a human being with one email address, password and second factor. Pure.
import type { OrganizationId, UserId } from "@muster/core";

export interface User {
  readonly id: UserId;
  /** As the user wrote it; mail goes to this spelling. */
  readonly email: string;
  /** The canonical form, by which addresses compare. */
  readonly emailKey: string;
  readonly isEmailVerified: boolean;
  readonly name: string;
  /** Language of mails; undefined means "en". */
  readonly locale: string | undefined;
  /** PHC string; undefined until the user has set a password. */
  readonly passwordHash: string | undefined;
  /** Logins are refused until the password is reset. */
  readonly isPasswordResetRequired: boolean;
  /** Grows with every change of the address or the password, and so voids links and challenges. */
  readonly securityVersion: number;
  /** The organization of the latest login or switch. */
  readonly lastOrganizationId: OrganizationId | undefined;
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
}

/** A person of an invitation who has no account yet: nobody has proved to own the address, or set a password. */
export function isPlaceholder({ isEmailVerified, passwordHash }: User): boolean {
  return !isEmailVerified && passwordHash === undefined;
}

/** A person without an account. */
export function newPlaceholder(id: UserId, email: string, emailKey: string, nowMs: number): User {
  return {
    id,
    email,
    emailKey,
    isEmailVerified: false,
    name: "",
    locale: undefined,
    passwordHash: undefined,
    isPasswordResetRequired: false,
    securityVersion: 1,
    lastOrganizationId: undefined,
    createTimeMs: nowMs,
    updateTimeMs: nowMs,
  };
}

/**
 * The key of a person without an address: another account has taken the address of the invitation, or the person of
 * the address is invited already. No canonical address begins so.
 */
export function keyWithoutAddress(id: UserId): string {
  return `\0${id}`;
}
