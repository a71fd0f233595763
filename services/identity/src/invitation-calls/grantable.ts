// Checks that a caller may invite to a role.
import { mayGrantOrTake, type Role } from "@muster/authz";
import type { Transaction } from "@muster/db";
import type { CallContext } from "@muster/rpc";
import { INVITE_PERMISSION } from "../invitations/void-invitations.ts";
import { readActor, requirePermitted, requireRank } from "../membership-rules/actor.ts";

/** PERMISSION_DENIED for a role above the caller's. The transaction has locked the organization. */
export async function requireGrantable(
  trx: Transaction,
  context: Pick<CallContext, "principal" | "organizationId">,
  role: Role,
): Promise<void> {
  const actor = await readActor(trx, context, INVITE_PERMISSION);
  requirePermitted(actor, INVITE_PERMISSION);
  requireRank(mayGrantOrTake(actor.role, role));
}
