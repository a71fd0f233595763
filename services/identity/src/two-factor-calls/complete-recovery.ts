// Removes a second factor whose recovery has become effective.
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import { announceChanges } from "../revocation/announce-changes.ts";
import { notifyOwner } from "../two-factor/notify-owner.ts";
import { deleteRecovery, findRecovery } from "../two-factor/recovery-store.ts";
import { removeSecondFactor } from "../two-factor/second-factor.ts";
import type { User } from "../users/user.ts";

/** The caller has locked the user. Deletes a recovery that a change of the address or the password has voided. */
export async function completeRecovery(
  deps: IdentityDeps,
  trx: Transaction,
  write: Pick<Write, "afterCommit">,
  user: User,
  nowMs: number,
): Promise<void> {
  const recovery = await findRecovery(trx, user.id);
  if (recovery === undefined || recovery.effectiveTimeMs > nowMs) return;
  if (recovery.securityVersion !== user.securityVersion) {
    await deleteRecovery(trx, user.id);
    return;
  }
  await removeSecondFactor(trx, user);
  await notifyOwner(deps, trx, write, { user, kind: "recovery_completed", client: undefined, nowMs });
  await announceChanges(deps, trx, write, [user.id]);
}
