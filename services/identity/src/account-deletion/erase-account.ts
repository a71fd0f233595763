// Deletes an account with its memberships, sessions and credentials, and begins the removal of the remaining rows.
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import { forgetMaker } from "../api-keys/api-key-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { endMembership } from "../membership-rules/end-membership.ts";
import { listOrganizationsOf } from "../memberships/membership-store.ts";
import { listTokenAddresses } from "../one-time-tokens/one-time-token-store.ts";
import type { NewOperation, Requester } from "../operations/operation.ts";
import { deleteRegistrations } from "../registration/registration-store.ts";
import { endSessionsOf } from "../sessions/end-sessions.ts";
import type { User } from "../users/user.ts";
import { deleteUserRow } from "../users/user-store.ts";
import { ACCOUNT_ERASURE_KIND } from "./account-erasure-runner.ts";
import { beginAccountErasure } from "./account-erasure-store.ts";
import { deleteCredentialsOf, forgetProvisionedOwner } from "./personal-rows-store.ts";

export interface EndOfAccount {
  /** Locked. */
  readonly user: User;
  readonly requester: Requester;
  readonly nowMs: number;
  /** No worker removes the remaining rows before (default: at once). */
  readonly dueTimeMs?: number;
}

/**
 * The caller has locked the organizations of the user and the user, and calls this last in the transaction. LAST_OWNER
 * for the last active owner of an organization.
 */
export async function eraseAccount(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  { user, requester, nowMs, dueTimeMs = 0 }: EndOfAccount,
): Promise<NewOperation> {
  const recipients = await recipientsOf(deps, trx, user);
  const operation: NewOperation = {
    id: deps.ids.next(nowMs),
    kind: ACCOUNT_ERASURE_KIND,
    organizationId: undefined,
    requester,
    permission: undefined,
    input: { user_id: user.id, recipients },
    createTimeMs: nowMs,
    dueTimeMs,
  };
  await deps.operations.insert(trx, operation);
  await beginAccountErasure(trx, deps.accountErasureKey, user.id, nowMs);
  const { name, email, locale } = user;
  const values = { name, time: new Date(nowMs).toISOString() };
  await deps.mailer.queue(trx, { kind: "account_deleted", to: email, locale, values });
  await deleteCredentialsOf(trx, user.id);
  await deleteRegistrations(trx, user.emailKey);
  for (const organizationId of await listOrganizationsOf(trx, user.id)) {
    await endMembership(deps, trx, write, { organizationId, userId: user.id, reason: "erased", nowMs });
  }
  await forgetMaker(trx, user.id);
  await forgetProvisionedOwner(trx, user.id);
  await deleteUserRow(trx, user.id);
  write.afterCommit(() => deps.mailer.wake());
  write.afterCommit(() => deps.wakeOperations());
  await endSessionsOf(deps, trx, write, { userId: user.id });
  return operation;
}

/** The digests of the addresses at which mails may wait, without repetition. */
async function recipientsOf({ mailer }: IdentityDeps, trx: Transaction, user: User): Promise<string[]> {
  const addresses = [user.email, ...(await listTokenAddresses(trx, user.id))];
  return [...new Set(addresses.map((address) => mailer.recipientKeyOf(address)))];
}
