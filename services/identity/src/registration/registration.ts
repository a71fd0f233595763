// Declares a registration with an address that is not verified yet. Pure.

export interface PendingRegistration {
  /** Equal for all mails of a registration. */
  readonly registrationId: string;
  readonly email: string;
  /** The canonical form. */
  readonly emailKey: string;
  readonly name: string;
  /** PHC string. Undefined in a repeated mail of an address with several registrations. */
  readonly passwordHash: string | undefined;
  /** The organization that comes into being at the verification. */
  readonly organizationName: string | undefined;
  /** SHA-256 of the token of the invitation to accept. */
  readonly invitationHash: Buffer | undefined;
  readonly createTimeMs: number;
  readonly expireTimeMs: number;
}

export const VERIFICATION_LIFETIME_MS = 24 * 3_600_000;
/** Pending mails of one address; further registrations change nothing until one of them expires. */
export const PENDING_MAILS_MAX = 20;

/**
 * Returns the registration that a repeated mail verifies: the newest. If the address has several registrations, the
 * password is left out, because a stranger may have chosen the password.
 */
export function registrationToRepeat(
  pending: readonly PendingRegistration[],
): PendingRegistration | undefined {
  const newest = pending.at(-1);
  const isSingle = pending.every(({ registrationId }) => registrationId === newest?.registrationId);
  return newest === undefined || isSingle ? newest : { ...newest, passwordHash: undefined };
}
