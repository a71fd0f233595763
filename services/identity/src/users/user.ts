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
