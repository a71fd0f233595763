// Ends the membership of a person whose data is erased, and the account if the person has no other membership.
import type { OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import { eraseAccount } from "../account-deletion/erase-account.ts";
import type { IdentityDeps } from "../deps.ts";
import { endMembership } from "../membership-rules/end-membership.ts";
import { lockMembershipsOf } from "../memberships/membership-store.ts";
import { lockUser } from "../users/user-store.ts";

/** The erasure of the organization's data runs first, so that its receipt counts the rows. */
const ACCOUNT_DELAY_MS = 60_000;

export interface EndOfPerson {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
  readonly nowMs: number;
}

/** The caller has locked the organization, and calls this last in the transaction. */
export async function endPerson(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  { organizationId, userId, nowMs }: EndOfPerson,
): Promise<void> {
  const user = await lockUser(trx, userId);
  // Two organizations that erase the same person at once wait for each other at the lock of the user.
  const [first, ...others] = await lockMembershipsOf(trx, userId);
  // An invitation is no reason to erase the account: any organization can invite any address.
  const isOnly =
    first?.organizationId === organizationId && others.length === 0 && first.status !== "invited";
  if (user !== undefined && isOnly) {
    const requester = { kind: "user", id: userId } as const;
    const dueTimeMs = nowMs + ACCOUNT_DELAY_MS;
    await eraseAccount(deps, trx, write, { user, requester, nowMs, dueTimeMs });
  } else await endMembership(deps, trx, write, { organizationId, userId, reason: "erased", nowMs });
}
