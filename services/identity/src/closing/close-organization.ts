// Closes an organization whose deletion has taken effect: from the commit on no credential of the organization counts.
import type { OrganizationId } from "@muster/core";
import type { OrganizationEraser } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import { deleteOrganizationRow, lockOrganization } from "../organizations/organization-store.ts";
import { announceRevocations } from "../revocation/announce-revocations.ts";
import { countRevocations } from "../revocation/revocation-count-store.ts";
import { insertClosings } from "./closing-store.ts";

export interface CloseDeps extends Pick<IdentityDeps, "bus" | "clock" | "database"> {
  readonly eraser: OrganizationEraser;
}

/** Closes nothing when the deletion was revoked or postponed meanwhile. */
export async function closeOrganization(
  deps: CloseDeps,
  organizationId: OrganizationId,
  nowMs: number,
): Promise<void> {
  const revocations = await deps.database.transaction(async (trx) => {
    const organization = await lockOrganization(trx, organizationId);
    if (organization?.deleteTimeMs === undefined || organization.deleteTimeMs > nowMs) return [];
    await deps.eraser.close(trx, organizationId);
    await insertClosings(trx, organizationId, nowMs);
    await deleteOrganizationRow(trx, organizationId);
    return countRevocations(trx, [{ credentialId: organizationId, hasEnded: true }]);
  });
  if (revocations.length === 0) return;
  deps.eraser.wake();
  await announceRevocations(deps, revocations);
}
