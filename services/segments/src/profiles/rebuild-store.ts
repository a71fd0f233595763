// Stores marks of single profiles to rebuild from raw events: every statement against `profile_rebuilds`.

import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { insertRows, type OnConflict, type Queryable, type Transaction } from "@muster/db";
import type { ProfileKey } from "./profile-key.ts";
import { REBUILD_REASONS, type RebuildReason } from "./rebuild-reason.ts";

/** The mark of one profile. */
export interface ProfileRebuild extends ProfileKey {
  readonly reason: RebuildReason;
}

interface Row {
  organization_id: Buffer;
  shard: number;
  profile_id: Buffer;
}

const KEY = ["organization_id", "shard", "profile_id"] as const;
const COLUMNS = [...KEY, "reason"] as const;

/** The keys are sorted and unique. A stale mark never replaces an existing mark; the other reasons do. */
export async function addProfileRebuilds(
  trx: Transaction,
  keys: readonly (ProfileKey & Partial<ProfileRebuild>)[],
): Promise<void> {
  const add = async (rebuilds: typeof keys, onConflict: OnConflict): Promise<void> => {
    const rows = rebuilds.map(({ organizationId, shard, profileId, reason = "stale" }) => [
      ...[uuidToBytes(organizationId), shard, uuidToBytes(profileId)],
      REBUILD_REASONS.indexOf(reason),
    ]);
    await insertRows(trx, "profile_rebuilds", COLUMNS, rows, onConflict, KEY);
  };
  const isStale = ({ reason = "stale" }: Partial<ProfileRebuild>) => reason === "stale";
  await add(keys.filter(isStale), "keep");
  await add(
    keys.filter((key) => !isStale(key)),
    { overwrite: ["reason"] },
  );
}

/** Up to `limit` marked profiles of the shards, in order of the key, after the given profile. */
export async function listProfileRebuilds(
  db: Queryable,
  organizationId: OrganizationId,
  shards: readonly number[],
  after: Omit<ProfileKey, "organizationId"> | undefined,
  limit: number,
): Promise<ProfileKey[]> {
  const query = db("profile_rebuilds")
    .select<Row[]>(KEY)
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("shard", [...shards])
    .orderBy(["shard", "profile_id"])
    .limit(limit);
  if (after !== undefined) {
    const { shard, profileId } = after;
    query.andWhere((position) =>
      position
        .where("shard", ">", shard)
        .orWhere((same) => same.where("shard", shard).andWhere("profile_id", ">", uuidToBytes(profileId))),
    );
  }
  const rows = await query;
  return rows.map((row) => ({
    organizationId: bytesToUuid(row.organization_id),
    shard: row.shard,
    profileId: bytesToUuid(row.profile_id),
  }));
}

/** By profile; profiles without a mark are missing. */
export async function readRebuildReasons(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
  profileIds: readonly ProfileId[],
): Promise<Map<ProfileId, RebuildReason>> {
  const rows = await db("profile_rebuilds")
    .select<{ profile_id: Buffer; reason: number }[]>("profile_id", "reason")
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .whereIn("profile_id", profileIds.map(uuidToBytes));
  return new Map(rows.map((row) => [bytesToUuid(row.profile_id), REBUILD_REASONS[row.reason] ?? "stale"]));
}

/** The first organization after the given id with marked profiles in the shards. */
export async function nextOrganizationToRebuild(
  db: Queryable,
  shards: readonly number[],
  after: OrganizationId | undefined,
): Promise<OrganizationId | undefined> {
  const query = db("profile_rebuilds")
    .whereIn("shard", [...shards])
    .orderBy("organization_id")
    .first<{ organization_id: Buffer } | undefined>("organization_id");
  if (after !== undefined) query.andWhere("organization_id", ">", uuidToBytes(after));
  const row = await query;
  return row && bytesToUuid(row.organization_id);
}

export async function isProfileMarked(
  db: Queryable,
  { organizationId, shard, profileId }: ProfileKey,
): Promise<boolean> {
  const key = { organization_id: uuidToBytes(organizationId), shard, profile_id: uuidToBytes(profileId) };
  const row = await db("profile_rebuilds").where(key).first<{ shard: number } | undefined>("shard");
  return row !== undefined;
}

export async function hasProfileRebuilds(db: Queryable, organizationId: OrganizationId): Promise<boolean> {
  const row = await db("profile_rebuilds")
    .where("organization_id", uuidToBytes(organizationId))
    .first<{ shard: number } | undefined>("shard");
  return row !== undefined;
}

/** The profiles are of the same organization and shard. */
export async function deleteProfileRebuilds(
  trx: Transaction,
  organizationId: OrganizationId,
  shard: number,
  profileIds: readonly ProfileId[],
): Promise<void> {
  await trx("profile_rebuilds")
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .whereIn("profile_id", profileIds.map(uuidToBytes))
    .delete();
}
