// Composes what protects logins: the hashing of passwords, the counters of failures, and the unlock mails.
import type { Platform } from "@muster/runtime";
import type { Mailer } from "../mail/mailer.ts";
import { Passwords } from "../passwords/passwords.ts";
import { LoginThrottle } from "./login-throttle.ts";
import { UnlockMailWorker } from "./unlock-mail-worker.ts";

export interface LoginProtection {
  readonly passwords: Passwords;
  readonly loginThrottle: LoginThrottle;
  readonly unlockMailWorker: UnlockMailWorker;
}

export function loginProtection(platform: Platform, mailer: Mailer): LoginProtection {
  const { login } = platform.settings;
  const unlockMailWorker = new UnlockMailWorker({ ...platform, mailer });
  const loginThrottle = new LoginThrottle({
    ...platform,
    key: platform.ownKey("login-throttle"),
    rules: login,
    mailsDue: () => unlockMailWorker.wake(),
  });
  const passwords = new Passwords({ clock: platform.clock, slots: login.passwordSlots });
  return { passwords, loginThrottle, unlockMailWorker };
}
