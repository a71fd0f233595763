// Erases the logins of a person in an organization, in steps. Counts of dates stay, because they contain no person.
import type { OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { deleteLoginsOf } from "./login-event-store.ts";
import { deleteTotalsOf } from "./login-totals-store.ts";

const LOGINS_AT_ONCE = 500;

/** One step of an erasure. Returns whether logins are left; the totals go first, so that no read shows a part. */
export async function eraseLogins(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<boolean> {
  await deleteTotalsOf(trx, organizationId, userId);
  return (await deleteLoginsOf(trx, organizationId, userId, LOGINS_AT_ONCE)) === LOGINS_AT_ONCE;
}
