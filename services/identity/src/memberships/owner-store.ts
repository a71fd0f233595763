// Lists the owners of an organization.
import { bytesToUuid, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";

/** Active owners with greater ids than `after`, by id. */
export async function listOwners(
  queryable: Queryable,
  organizationId: OrganizationId,
  after: UserId | undefined,
  limit: number,
): Promise<UserId[]> {
  const query = queryable("memberships")
    .select<{ readonly user_id: Buffer }[]>("user_id")
    .where({
      organization_id: uuidToBytes(organizationId),
      role: Buffer.from("owner"),
      status: Buffer.from("active"),
    })
    .orderBy("user_id")
    .limit(limit);
  if (after !== undefined) query.where("user_id", ">", uuidToBytes(after));
  return (await query).map((row) => bytesToUuid(row.user_id));
}
