// Contains the texts of mails in English. Pure.
import type { LanguageTexts } from "./mail-text.ts";

const NOT_YOU = "If this was not you, reset your password at once and end all other sessions.";
const ORGANIZATION = "Organization: {organization}";
const ASK_OWNER = "If you did not expect this, ask an owner of the organization.";

export const en: LanguageTexts = {
  greeting: "Hello {name},",
  greetingWithoutName: "Hello,",
  footer: "This mail was sent automatically. Please do not respond to it.",
  kinds: {
    verify_email: {
      subject: "Confirm your email address",
      action: "Confirm the address",
      paragraphs: [
        "An account was registered with this address. Confirm the address to complete the registration.",
        "{link}",
        "The link works once, within 24 hours. If you did not register, ignore this mail.",
      ],
    },
    already_registered: {
      subject: "You already have an account",
      paragraphs: [
        "Someone, perhaps you, tried to register with this address. You already have an account: sign in with it.",
        "If you no longer know your password, request a new one where you sign in. Nothing has changed.",
      ],
    },
    password_reset: {
      subject: "Reset your password",
      action: "Choose a new password",
      paragraphs: [
        "A new password was requested for your account.",
        "{link}",
        "The link works once and for a short time. If you did not request it, ignore this mail: your password stays as it is.",
      ],
    },
    password_changed: {
      subject: "Your password was changed",
      paragraphs: ["The password of your account was changed at {time}.", NOT_YOU],
    },
    account_changed: {
      subject: "Your account was changed",
      paragraphs: ["The name or the language of your account was changed at {time}.", NOT_YOU],
    },
    magic_link: {
      subject: "Sign in",
      action: "Sign in",
      paragraphs: [
        "Use this link to sign in.",
        "{link}",
        "Or enter this code where you asked for the mail: {code}",
        "Link and code work once, within 10 minutes. If you did not request them, ignore this mail. Never give the code to anyone.",
      ],
    },
    unlock: {
      subject: "Unlock your account",
      action: "Unlock the account",
      paragraphs: [
        "After several wrong passwords, signing in to your account is locked for a while. You can end the lock now.",
        "{link}",
        "If the attempts were not yours, someone may be guessing your password. It was not guessed.",
      ],
    },
    email_change_confirm: {
      subject: "Confirm your new email address",
      action: "Use this address",
      paragraphs: [
        "The address of an account is to change to {email}. The change takes effect when you confirm it.",
        "{link}",
        "If you did not request the change, ignore this mail.",
      ],
    },
    email_change_notice: {
      subject: "Your email address is about to change",
      action: "Undo the change",
      paragraphs: [
        "A change of your account's address to {email} was requested. It takes effect when the new address is confirmed.",
        "{link}",
        NOT_YOU,
      ],
    },
    email_changed: {
      subject: "Your email address was changed",
      action: "Undo the change",
      paragraphs: [
        "The address of your account is now {email}. This address no longer belongs to the account.",
        "If this was not you, undo the change within 7 days.",
        "{link}",
      ],
    },
    two_factor_enabled: {
      subject: "Two-factor authentication is on",
      paragraphs: ["Two-factor authentication was switched on for your account at {time}.", NOT_YOU],
    },
    two_factor_disabled: {
      subject: "Two-factor authentication is off",
      paragraphs: ["Two-factor authentication was switched off for your account at {time}.", NOT_YOU],
    },
    backup_codes_created: {
      subject: "New backup codes",
      paragraphs: [
        "New backup codes were created for your account at {time}. The old codes no longer work.",
        NOT_YOU,
      ],
    },
    recovery_link: {
      subject: "Recover your account",
      action: "Start the recovery",
      paragraphs: [
        "The removal of a lost second factor was requested for your account, after the right password.",
        "{link}",
        "The second factor is removed 72 hours after you start the recovery. If you did not request it, change your password now.",
      ],
    },
    recovery_pending: {
      subject: "Your second factor will be removed",
      action: "Cancel the recovery",
      paragraphs: [
        "The recovery of your account has started. Your second factor will be removed at {time}.",
        "If this was not you, cancel the recovery and change your password.",
        "{link}",
      ],
    },
    recovery_canceled: {
      subject: "The recovery was canceled",
      paragraphs: ["The recovery of your account was canceled at {time}. Your second factor stays."],
    },
    refresh_token_reuse: {
      subject: "A session was ended",
      paragraphs: [
        "At {time}, a session of your account was used from two places at once. The session was ended as a precaution.",
        "Sign in again. If you do not know why this happened, change your password.",
      ],
    },
    new_device: {
      subject: "Sign-in from a new device",
      paragraphs: [
        "A device that was not known signed in to your account at {time}.",
        "Program: {client}",
        "Network address: {address}",
        NOT_YOU,
      ],
    },
    two_factor_locked: {
      subject: "Your second factor is locked for a while",
      paragraphs: [
        "After too many wrong codes, the second factor of your account was locked at {time}. The lock ends by itself.",
        "If the attempts were not yours, someone knows your password: change it.",
      ],
    },
    membership_changed: {
      subject: "Your membership was changed",
      paragraphs: [
        "Your name or your role in an organization was changed at {time}.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_suspended: {
      subject: "Your access was suspended",
      paragraphs: [
        "Your access to an organization was suspended at {time}. Your account and your other organizations stay as they are.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_reinstated: {
      subject: "You have access again",
      paragraphs: [
        "You have access to an organization again since {time}. Sign in as usual.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_ended: {
      subject: "You are no longer a member",
      paragraphs: [
        "Your membership of an organization ended at {time}. Your account and your other organizations stay as they are.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    membership_sessions_ended: {
      subject: "Your sessions were ended",
      paragraphs: [
        "Your sessions of an organization were ended at {time}. Sign in again to continue.",
        ORGANIZATION,
        ASK_OWNER,
      ],
    },
    export_ready: {
      subject: "Your data export is ready",
      paragraphs: [
        "The export of personal data that was requested with your account is ready. Download it where you requested it, signed in, before {time}.",
        "It can be downloaded once. Nobody else can download it.",
      ],
    },
    account_deletion_confirm: {
      subject: "Delete your account",
      action: "Delete the account",
      paragraphs: [
        "The deletion of your account was requested. It ends all your memberships and sessions, and cannot be undone.",
        "{link}",
        "The link works once, within 24 hours. If you did not request the deletion, change your password now.",
      ],
    },
    account_deleted: {
      subject: "Your account was deleted",
      paragraphs: ["Your account was deleted at {time}. All your memberships and sessions have ended."],
    },
    invitation: {
      subject: "You are invited to join an organization",
      action: "Accept the invitation",
      paragraphs: [
        "You are invited to become a member of an organization.",
        ORGANIZATION,
        "{link}",
        "If you have an account with this address, sign in and accept the invitation with this link. If you have none, the page lets you create one.",
        "The link works once, within 7 days. If you do not know the organization, ignore this mail.",
      ],
    },
    account_setup: {
      subject: "Set up your account",
      action: "Choose a password",
      paragraphs: [
        "An organization was created for you, and you are its owner.",
        ORGANIZATION,
        "{link}",
        "Choose a password to sign in. The link works once, within 7 days. After that, request a new password where you sign in.",
        "If you do not know the organization, ignore this mail.",
      ],
    },
    erasure_requested: {
      subject: "Your data may be erased",
      paragraphs: [
        "The erasure of the data that an organization stores about you was requested at {time}. Another person of the organization decides.",
        ORGANIZATION,
      ],
    },
    erasure_approved: {
      subject: "Your data is being erased",
      paragraphs: [
        "At {time} an organization approved the erasure of its data about you. Your membership has ended. If you have no other membership, your account is erased too.",
        ORGANIZATION,
      ],
    },
    erasure_rejected: {
      subject: "Your data stays",
      paragraphs: [
        "At {time} an organization rejected the request to erase its data about you. Nothing was erased.",
        ORGANIZATION,
      ],
    },
    organization_closing: {
      subject: "Your organization will be deleted",
      paragraphs: [
        "The deletion of the organization {organization}, which you own, was requested. At {time} the organization ends and all of its data is erased.",
        "Until then everything works, and an owner can revoke the deletion.",
      ],
    },
  },
};
