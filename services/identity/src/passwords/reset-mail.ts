// Queues the mail with the link that resets the password of a user.
import type { IdSource, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Mailer } from "../mail/mailer.ts";
import { issueOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import type { User } from "../users/user.ts";

const RESET_LIFETIME_MS = 3_600_000;
const SETUP_LIFETIME_MS = 7 * 86_400_000;

/** The address of a mail that is queued as a decoy. */
interface Nobody {
  readonly email: string;
}

export async function queueResetMail(
  { ids, mailer }: { readonly ids: IdSource; readonly mailer: Mailer },
  trx: Transaction,
  recipient: User | Nobody,
  nowMs: number,
): Promise<void> {
  const user = "id" in recipient ? recipient : undefined;
  const token = await issueOneTimeToken(trx, {
    purpose: "reset_password",
    userId: user?.id ?? ids.next<UserId>(nowMs),
    securityVersion: user?.securityVersion ?? 0,
    details: {},
    createTimeMs: nowMs,
    // Without a user the token has expired already.
    expireTimeMs: user === undefined ? nowMs : nowMs + RESET_LIFETIME_MS,
  });
  await mailer.queue(trx, {
    kind: "password_reset",
    to: recipient.email,
    locale: user?.locale,
    values: { name: user?.name ?? "", token },
    isDecoy: user === undefined,
  });
}

/** Queues the mail with the link that sets the first password of an owner, which verifies the address. */
export async function queueSetupMail(
  { mailer }: { readonly mailer: Mailer },
  trx: Transaction,
  { id: userId, securityVersion, email, locale, name }: User,
  organization: string,
  nowMs: number,
): Promise<void> {
  const token = await issueOneTimeToken(trx, {
    purpose: "reset_password",
    userId,
    securityVersion,
    details: {},
    createTimeMs: nowMs,
    expireTimeMs: nowMs + SETUP_LIFETIME_MS,
  });
  await mailer.queue(trx, {
    kind: "account_setup",
    to: email,
    locale,
    values: { name, token, organization },
  });
}
