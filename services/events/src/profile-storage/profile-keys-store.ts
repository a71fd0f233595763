// Counts, lists and deletes profiles by key, without reading their contents.
import { chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { IN_LIST_VALUES_MAX, type Queryable, type Transaction } from "@muster/db";

/** Returns the number of the organization's root profiles. */
export async function countProfiles(db: Queryable, organizationId: OrganizationId): Promise<number> {
  const [row] = await db("profiles")
    .where("organization_id", uuidToBytes(organizationId))
    .whereNull("root_id")
    .count<{ profiles: number | string }[]>({ profiles: "*" });
  return Number(row?.profiles ?? 0);
}

/** Lists the ids of all root profiles of a shard, ordered: one index scan. */
export async function listShardProfileIds(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
): Promise<Buffer[]> {
  const rows: { profile_id: Buffer }[] = await db("profiles")
    .select("profile_id")
    .where("organization_id", uuidToBytes(organizationId))
    .whereNull("root_id")
    .where("shard", shard)
    .orderBy("profile_id");
  return rows.map((row) => row.profile_id);
}

/** Deletes profiles. */
export async function deleteProfiles(
  trx: Transaction,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
): Promise<void> {
  for (const ids of chunksOf([...profileIds].sort(), IN_LIST_VALUES_MAX)) {
    await trx("profiles")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("profile_id", ids.map(uuidToBytes))
      .delete();
  }
}
