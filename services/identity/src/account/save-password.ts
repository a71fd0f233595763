// Saves a new password of a locked user, voids links and challenges, and mails the owner.
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { deleteKnownDevices } from "../login/known-device-store.ts";
import { voidOneTimeTokens } from "../one-time-tokens/one-time-token-store.ts";
import type { User } from "../users/user.ts";
import { saveUser } from "../users/user-store.ts";

interface NewPassword {
  /** Locked by the transaction. */
  readonly user: User;
  readonly passwordHash: string;
  readonly nowMs: number;
  readonly kind: "password_reset" | "password_changed";
  readonly context: Pick<CallContext, "client">;
}

export async function savePassword(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  { user, passwordHash, nowMs, kind, context: { client } }: NewPassword,
): Promise<void> {
  await saveUser(trx, {
    ...user,
    passwordHash,
    isPasswordResetRequired: false,
    securityVersion: user.securityVersion + 1,
    updateTimeMs: nowMs,
  });
  await voidOneTimeTokens(trx, user.id);
  // A thief of the old password may have signed in from a device.
  await deleteKnownDevices(trx, user.id);
  await insertActivity(trx, deps, { userId: user.id, kind, timeMs: nowMs, client });
  await deps.mailer.queue(trx, {
    kind: "password_changed",
    to: user.email,
    locale: user.locale,
    values: { name: user.name, time: new Date(nowMs).toISOString() },
  });
  write.afterCommit(() => deps.mailer.wake());
}
