// Lists the pages behind mail links, with their texts and the REST route that each form calls.

/** A page has one form. Every form has the field `token`, except where `hasToken` is false. */
export interface Page {
  readonly title: string;
  readonly text: string;
  readonly button: string;
  /** REST route that the form calls, by POST. */
  readonly action: string;
  /** Shown after the action. */
  readonly done: string;
  /** The form has a field for a new password. */
  readonly hasPassword?: boolean;
  /** The form creates an account, with fields for address and name, and sends the token as `invitation_token`. */
  readonly isRegistration?: boolean;
  /** Follows another page, and has no link of its own. */
  readonly isFollowUp?: boolean;
}

const TWO_FACTOR = "two-factor";

export const pages: ReadonlyMap<string, Page> = new Map(
  Object.entries({
    "verify-email": {
      title: "Confirm your email address",
      text: "Confirm that this address is yours. This completes the registration.",
      button: "Confirm the address",
      action: "/v1/verify-email",
      done: "Your address is confirmed. You can sign in now.",
    },
    "reset-password": {
      title: "Choose a new password",
      text: "The password needs at least 12 characters. All your sessions end.",
      button: "Set the password",
      action: "/v1/password:reset",
      done: "Your password is changed, and all sessions have ended. Sign in with the new password.",
      hasPassword: true,
    },
    "magic-link": {
      title: "Sign in",
      text: "Sign in to your account with the link of the mail.",
      button: "Sign in",
      action: "/v1/magic-link:redeem",
      done: "You are signed in. Copy these tokens to the program that asked you to sign in.",
    },
    [TWO_FACTOR]: {
      title: "Sign in",
      text: "Your account has a second factor. Enter a code of your authenticator, or a backup code.",
      button: "Sign in",
      action: "/v1/login:two-factor",
      done: "You are signed in. Copy these tokens to the program that asked you to sign in.",
      isFollowUp: true,
    },
    "confirm-email": {
      title: "Confirm your new email address",
      text: "From now on, the account uses this address.",
      button: "Use this address",
      action: "/v1/me/email:confirm",
      done: "The account uses the new address now.",
    },
    "undo-email": {
      title: "Undo the change of your email address",
      text: "The account gets its previous address back. All sessions end, and a new password is needed.",
      button: "Undo the change",
      action: "/v1/me/email:undo",
      done: "The account has its previous address again. Request a new password before you sign in.",
    },
    "delete-account": {
      title: "Delete your account",
      text: "All your memberships and sessions end. The deletion cannot be undone.",
      button: "Delete the account",
      action: "/v1/me/deletion-request:confirm",
      done: "The deletion has started. A mail tells you when your account is deleted.",
    },
    invitation: {
      title: "Join an organization",
      text:
        "Create an account with the address that received the mail. If you have an account with this address, " +
        "sign in where you use it, and accept the invitation there with the link of the mail. The password needs " +
        "at least 12 characters.",
      button: "Create the account",
      action: "/v1/register",
      done: "A mail with a link was sent to the address. Confirm the address there to join the organization.",
      hasPassword: true,
      isRegistration: true,
    },
    unlock: {
      title: "Unlock your account",
      text: "End the lock after several wrong passwords.",
      button: "Unlock the account",
      action: "/v1/account:unlock",
      done: "The lock has ended. You can sign in now.",
    },
    "recover-confirm": {
      title: "Recover your account",
      text: "Your second factor is removed in 72 hours. Until then, every mail about it lets you cancel.",
      button: "Start the recovery",
      action: "/v1/two-factor:recover-confirm",
      done: "The recovery has started.",
    },
    "recover-cancel": {
      title: "Cancel the recovery of your account",
      text: "Your second factor stays. If you did not start the recovery, change your password too.",
      button: "Cancel the recovery",
      action: "/v1/two-factor:recover-cancel",
      done: "The recovery is canceled. Your second factor stays.",
    },
  } satisfies Record<string, Page>),
);

/** The page for the code after a magic link. */
export const twoFactorPage = { name: TWO_FACTOR, page: pages.get(TWO_FACTOR) as Page };
