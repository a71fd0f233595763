// Erases the logins of a person in an organization, in steps. Counts of dates stay, because they contain no person.

import type { OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { deleteLoginsOf } from "./login-event-store.ts";
import { deleteTotalsOf } from "./login-totals-store.ts";

const LOGINS_AT_ONCE = 500;

/** Returns how many logins a step has erased. The totals go first, so that no read shows a part. */
export async function eraseLogins(
  trx: Transaction,
  { organizationId, userId }: { readonly organizationId: OrganizationId; readonly userId: UserId },
): Promise<{ readonly removed: number; readonly hasMore: boolean }> {
  await deleteTotalsOf(trx, organizationId, userId);
  const removed = await deleteLoginsOf(trx, organizationId, userId, LOGINS_AT_ONCE);
  return { removed, hasMore: removed === LOGINS_AT_ONCE };
}
