// Statements that read which profiles there are, by their keys alone: many at once, and without what is in them.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";

/** Of those that stand for a person. */
export async function countProfiles(db: Queryable, organizationId: OrganizationId): Promise<number> {
  const [row] = await db("profiles")
    .where("organization_id", uuidToBytes(organizationId))
    .whereNull("root_id")
    .count<{ profiles: number | string }[]>({ profiles: "*" });
  return Number(row?.profiles ?? 0);
}

/** All of a shard that stand for a person, by id: one walk along the index. */
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
