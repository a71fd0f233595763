// Ends the memberships and sessions of a closed organization, in bounded steps.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { forUpdate, type Transaction } from "@muster/db";

const ROWS_AT_ONCE = 200;

interface MemberRow {
  readonly user_id: Buffer;
}

/**
 * Deletes memberships, and the people who exist for this organization alone: without a password, with an address that
 * was never verified, and without a membership elsewhere, which may also be a removed one. Returns true at the end.
 */
export async function deleteMembers(trx: Transaction, organizationId: OrganizationId): Promise<boolean> {
  const ofOrganization = { organization_id: uuidToBytes(organizationId) };
  const rows: MemberRow[] = await trx("memberships")
    .select("user_id")
    .where(ofOrganization)
    .limit(ROWS_AT_ONCE);
  const ids = rows.map((row) => row.user_id).sort(Buffer.compare);
  if (ids.length === 0) return true;
  // Locked before the memberships are read, so that no other organization invites these people meanwhile.
  await forUpdate(trx, trx("users").select("id").whereIn("id", ids).orderBy("id"));
  await trx("users")
    .whereIn("id", ids)
    .andWhere("last_organization_id", uuidToBytes(organizationId))
    .update({ last_organization_id: null });
  await trx("memberships").where(ofOrganization).whereIn("user_id", ids).delete();
  const others = new Set<string>();
  for (const table of ["memberships", "removed_memberships"]) {
    const elsewhere: MemberRow[] = await trx(table)
      .distinct("user_id")
      .whereIn("user_id", ids)
      .andWhereNot("organization_id", uuidToBytes(organizationId));
    for (const row of elsewhere) others.add(row.user_id.toString("hex"));
  }
  const alone = ids.filter((id) => !others.has(id.toString("hex")));
  await trx("users").whereIn("id", alone).andWhere("email_verified", 0).whereNull("password_hash").delete();
  return rows.length < ROWS_AT_ONCE;
}

/** Deletes sessions with their refresh tokens. Returns true at the end. */
export async function deleteSessions(trx: Transaction, organizationId: OrganizationId): Promise<boolean> {
  const rows: { readonly id: Buffer }[] = await trx("sessions")
    .select("id")
    .where("organization_id", uuidToBytes(organizationId))
    .limit(ROWS_AT_ONCE);
  const ids = rows.map((row) => row.id);
  if (ids.length === 0) return true;
  await trx("refresh_tokens").whereIn("session_id", ids).delete();
  await trx("sessions").whereIn("id", ids).delete();
  return rows.length < ROWS_AT_ONCE;
}
