// Records a change of a second factor for the owner of the account: an activity, and a mail.
import type { IdSource } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { ClientInfo } from "@muster/rpc";
import type { ActivityKind } from "../activity/activity.ts";
import { insertActivity } from "../activity/activity-store.ts";
import type { Mailer } from "../mail/mailer.ts";
import type { MailKind } from "../mail/texts/mail-kind.ts";
import type { User } from "../users/user.ts";

/** The mail of each change. */
const MAILS = {
  two_factor_enabled: "two_factor_enabled",
  two_factor_disabled: "two_factor_disabled",
  two_factor_locked: "two_factor_locked",
  backup_codes_created: "backup_codes_created",
  recovery_requested: "recovery_link",
  recovery_scheduled: "recovery_pending",
  recovery_canceled: "recovery_canceled",
  recovery_completed: "two_factor_disabled",
} as const satisfies Partial<Record<ActivityKind, MailKind>>;

export interface NotifyDeps {
  readonly ids: IdSource;
  readonly mailer: Mailer;
}

export interface Change {
  readonly user: User;
  readonly kind: keyof typeof MAILS;
  /** Of the link in the mail. */
  readonly token?: string;
  /** The time that the mail names, by default `nowMs`. */
  readonly timeMs?: number;
  /** The client that acted; undefined for the worker. */
  readonly client: ClientInfo | undefined;
  readonly nowMs: number;
}

export async function notifyOwner(
  deps: NotifyDeps,
  trx: Transaction,
  write: Pick<Write, "afterCommit">,
  { user, kind, token = "", client, nowMs, timeMs = nowMs }: Change,
): Promise<void> {
  await insertActivity(trx, deps, { userId: user.id, kind, timeMs: nowMs, client });
  await deps.mailer.queue(trx, {
    to: user.email,
    kind: MAILS[kind],
    locale: user.locale,
    values: { name: user.name, token, time: new Date(timeMs).toISOString() },
  });
  write.afterCommit(() => deps.mailer.wake());
}
