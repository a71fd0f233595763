// Deletes invitations that expired long ago, with the invited members.
import { create } from "@bufbuild/protobuf";
import { EmptySchema } from "@bufbuild/protobuf/wkt";
import type { OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import { WITHOUT_CALL, type WriteDeps, writeTransaction } from "@muster/outbox";
import type { Invitation } from "../invitations/invitation.ts";
import {
  deleteInvitationOf,
  listExpiredInvitations,
  lockInvitation,
} from "../invitations/invitation-store.ts";
import { lockMembership } from "../memberships/membership-store.ts";
import { deleteInvitedMember, removeInvitedMember } from "../memberships/remove-invited-member.ts";
import { lockOrganization } from "../organizations/organization-store.ts";
import { lockUser } from "../users/user-store.ts";

/** Each invitation takes several statements. */
const INVITATIONS_AT_ONCE = 50;

export interface InvitationSweepDeps extends WriteDeps {
  readonly database: Pick<Database, "reader" | "transaction">;
}

/** Deletes the invitations that expired before `beforeMs`, in a transaction for each organization of a page. */
export async function deleteExpiredInvitations(
  deps: InvitationSweepDeps,
  { nowMs, beforeMs, signal }: { nowMs: number; beforeMs: number; signal: AbortSignal },
): Promise<void> {
  let last: Invitation | undefined;
  do {
    const page = await listExpiredInvitations(deps.database.reader, beforeMs, last, INVITATIONS_AT_ONCE);
    for (const [organizationId, invitations] of Map.groupBy(page, (one) => one.organizationId)) {
      if (signal.aborted) return;
      await deleteOfOrganization(deps, organizationId, invitations, { nowMs, beforeMs });
    }
    last = page.length < INVITATIONS_AT_ONCE ? undefined : page.at(-1);
  } while (last !== undefined);
}

/** Locks in the order of all transactions: the organization, people by id, members, invitations. */
async function deleteOfOrganization(
  deps: WriteDeps,
  organizationId: OrganizationId,
  listed: readonly Invitation[],
  { nowMs, beforeMs }: { nowMs: number; beforeMs: number },
): Promise<void> {
  await writeTransaction(deps, WITHOUT_CALL, async (trx, write) => {
    const isOpen = (await lockOrganization(trx, organizationId)) !== undefined;
    const people = listed.map(({ userId }) => userId).sort();
    for (const userId of people) await lockUser(trx, userId);
    for (const found of listed) {
      const member = await lockMembership(trx, organizationId, found.userId);
      const invitation = await lockInvitation(trx, organizationId, found.id);
      // Sent again or accepted meanwhile.
      if (invitation === undefined || invitation.expireTimeMs >= beforeMs) continue;
      if (member === undefined) await deleteInvitationOf(trx, organizationId, found.userId);
      // A closed organization publishes nothing more.
      else if (isOpen) await removeInvitedMember(trx, write, member, nowMs);
      else await deleteInvitedMember(trx, member);
    }
    return create(EmptySchema);
  });
}
