// Statements that read which profiles there are, by their keys alone: many at once, and without what is in them.
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Queryable } from "@muster/db";
import { type IdentityKind, identityKindNumbers } from "./profile.ts";

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

/** Keys in one statement: under the size at which MariaDB turns IN lists into temporary tables. */
const LOOKUP_CHUNK = 500;

/** Whose each of these identities is; those that are nobody's are left out. */
export async function findOwners(
  db: Queryable,
  organizationId: OrganizationId,
  kind: IdentityKind,
  values: readonly string[],
): Promise<Map<string, ProfileId>> {
  const owners = new Map<string, ProfileId>();
  for (let start = 0; start < values.length; start += LOOKUP_CHUNK) {
    const rows: { value: Buffer; profile_id: Buffer }[] = await db("profile_identities")
      .select("value", "profile_id")
      .where("organization_id", uuidToBytes(organizationId))
      .where("kind", identityKindNumbers[kind])
      .whereIn(
        "value",
        values.slice(start, start + LOOKUP_CHUNK).map((value) => Buffer.from(value)),
      );
    for (const row of rows) owners.set(row.value.toString(), bytesToUuid<ProfileId>(row.profile_id));
  }
  return owners;
}

/** Those of the ids that are profiles. */
export async function listExisting(
  db: Queryable,
  organizationId: OrganizationId,
  profileIds: readonly Uint8Array[],
): Promise<ProfileId[]> {
  const existing: ProfileId[] = [];
  for (let start = 0; start < profileIds.length; start += LOOKUP_CHUNK) {
    const rows: { profile_id: Buffer }[] = await db("profiles")
      .select("profile_id")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn(
        "profile_id",
        profileIds.slice(start, start + LOOKUP_CHUNK).map((id) => Buffer.from(id)),
      );
    for (const row of rows) existing.push(bytesToUuid<ProfileId>(row.profile_id));
  }
  return existing;
}
