// Declares the activities of an account: sign-ins and changes, for the list of the user. Pure.

export interface Activity {
  readonly id: string;
  readonly timeMs: number;
  readonly kind: string;
  /** The user agent. */
  readonly client: string;
  readonly clientAddress: string;
}

/** Longest stored user agent; a longer one is cut. */
export const CLIENT_BYTES_MAX = 255;

export type ActivityKind =
  | "registered"
  | "email_verified"
  | "login"
  | "login_failed"
  | "login_locked"
  | "login_unlocked"
  | "logout"
  | "organization_switched"
  | "session_ended"
  | "refresh_token_reused"
  | "profile_updated"
  | "password_changed"
  | "password_reset"
  | "email_change_requested"
  | "email_changed"
  | "email_change_undone"
  | "two_factor_enabled"
  | "two_factor_disabled"
  | "two_factor_locked"
  | "backup_codes_created"
  | "backup_code_used"
  | "recovery_requested"
  | "recovery_scheduled"
  | "recovery_canceled"
  | "recovery_completed"
  | "reauthenticated"
  | "deletion_requested";
