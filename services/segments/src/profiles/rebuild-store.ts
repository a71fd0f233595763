// Stores marks of single profiles to rebuild from raw events: adds, reads and deletes rows of
// `profile_rebuilds`.

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

/** Up to `limit` marked profiles of the shards. */
export async function listProfileRebuilds(
  db: Queryable,
  organizationId: OrganizationId,
  shards: readonly number[],
  limit: number,
): Promise<ProfileKey[]> {
  const rows = await db("profile_rebuilds")
    .select<Row[]>(KEY)
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("shard", [...shards])
    .limit(limit);
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
