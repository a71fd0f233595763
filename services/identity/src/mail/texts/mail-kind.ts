// Lists the kinds of mails, the values of each kind, and the time for which a mail of a kind is of use. Pure.

interface Addressee {
  /** Name of the recipient; it is left out where it is empty or contains a URL. */
  readonly name: string;
}

interface WithToken extends Addressee {
  /** Token of the mail's link. */
  readonly token: string;
}

interface AtTime extends Addressee {
  /** RFC 3339. */
  readonly time: string;
}

interface OfOrganization extends AtTime {
  /** The name of the organization; the paragraph is left out where the name contains a URL. */
  readonly organization: string;
}

/** Values of the mails. Everything but `name` is made by Muster, except `email`, `client` and `organization`. */
export interface MailValues {
  readonly verify_email: WithToken;
  readonly already_registered: Addressee;
  readonly password_reset: WithToken;
  readonly password_changed: AtTime;
  /** The name or the language was changed. */
  readonly account_changed: AtTime;
  /** `code`: the six digits, if the request had a challenge. */
  readonly magic_link: WithToken & { readonly code?: string };
  readonly unlock: WithToken;
  /** Goes to the new address. */
  readonly email_change_confirm: WithToken & { readonly email: string };
  /** Goes to the old address when a change is requested; `token` undoes the change. */
  readonly email_change_notice: Addressee & { readonly email: string; readonly token?: string };
  /** Goes to the old address when the new address has taken effect; `token` undoes the change. */
  readonly email_changed: Addressee & { readonly email: string; readonly token?: string };
  readonly two_factor_enabled: AtTime;
  readonly two_factor_disabled: AtTime;
  readonly backup_codes_created: AtTime;
  readonly recovery_link: WithToken;
  /** `token` cancels the recovery; `time` is when the second factor is removed. */
  readonly recovery_pending: WithToken & { readonly time: string };
  readonly recovery_canceled: AtTime;
  readonly refresh_token_reuse: AtTime;
  /** `client`: the user agent; `address`: the IP address. */
  readonly new_device: AtTime & { readonly client?: string; readonly address?: string };
  readonly two_factor_locked: AtTime;
  /** The name or the role in an organization was changed. */
  readonly membership_changed: OfOrganization;
  readonly membership_suspended: OfOrganization;
  /** After a suspension or a removal. */
  readonly membership_reinstated: OfOrganization;
  readonly membership_ended: OfOrganization;
  readonly membership_sessions_ended: OfOrganization;
  /** `time` is when the export ends. */
  readonly export_ready: AtTime;
  readonly account_deletion_confirm: WithToken;
  readonly account_deleted: AtTime;
  /** `name`: as the inviter gave it. */
  readonly invitation: WithToken & Pick<OfOrganization, "organization">;
  /** Goes to the owner of a provisioned organization, who has no account yet; `token` sets the password. */
  readonly account_setup: WithToken & Pick<OfOrganization, "organization">;
  /** The erasure of the person's data in an organization was requested. */
  readonly erasure_requested: OfOrganization;
  readonly erasure_approved: OfOrganization;
  readonly erasure_rejected: OfOrganization;
  /** Goes to every owner; `time` is when the organization ends. */
  readonly organization_closing: AtTime & { readonly organization: string };
}

export type MailKind = keyof MailValues;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export interface KindOfMail {
  /** Page of the link below /m/, if the mail has a link. */
  readonly page?: string;
  /** A mail that was not sent by then is dropped. */
  readonly usefulMs: number;
}

/** Notices stay useful for days; links do not outlive their tokens. */
export const mailKinds: Readonly<Record<MailKind, KindOfMail>> = {
  verify_email: { page: "verify-email", usefulMs: DAY_MS },
  already_registered: { usefulMs: DAY_MS },
  password_reset: { page: "reset-password", usefulMs: HOUR_MS },
  password_changed: { usefulMs: 3 * DAY_MS },
  account_changed: { usefulMs: 3 * DAY_MS },
  magic_link: { page: "magic-link", usefulMs: 10 * MINUTE_MS },
  unlock: { page: "unlock", usefulMs: HOUR_MS },
  email_change_confirm: { page: "confirm-email", usefulMs: DAY_MS },
  email_change_notice: { page: "undo-email", usefulMs: 3 * DAY_MS },
  email_changed: { page: "undo-email", usefulMs: 3 * DAY_MS },
  two_factor_enabled: { usefulMs: 3 * DAY_MS },
  two_factor_disabled: { usefulMs: 3 * DAY_MS },
  backup_codes_created: { usefulMs: 3 * DAY_MS },
  recovery_link: { page: "recover-confirm", usefulMs: DAY_MS },
  recovery_pending: { page: "recover-cancel", usefulMs: 3 * DAY_MS },
  recovery_canceled: { usefulMs: 3 * DAY_MS },
  refresh_token_reuse: { usefulMs: 3 * DAY_MS },
  new_device: { usefulMs: 3 * DAY_MS },
  two_factor_locked: { usefulMs: DAY_MS },
  membership_changed: { usefulMs: 3 * DAY_MS },
  membership_suspended: { usefulMs: 3 * DAY_MS },
  membership_reinstated: { usefulMs: 3 * DAY_MS },
  membership_ended: { usefulMs: 3 * DAY_MS },
  membership_sessions_ended: { usefulMs: 3 * DAY_MS },
  export_ready: { usefulMs: 3 * DAY_MS },
  account_deletion_confirm: { page: "delete-account", usefulMs: DAY_MS },
  account_deleted: { usefulMs: 3 * DAY_MS },
  invitation: { page: "invitation", usefulMs: 7 * DAY_MS },
  account_setup: { page: "reset-password", usefulMs: 7 * DAY_MS },
  erasure_requested: { usefulMs: 3 * DAY_MS },
  erasure_approved: { usefulMs: 3 * DAY_MS },
  erasure_rejected: { usefulMs: 3 * DAY_MS },
  organization_closing: { usefulMs: 3 * DAY_MS },
};
