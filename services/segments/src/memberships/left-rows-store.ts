// The rows of `memberships` that say who has left, and how many there may be, in `segment_counts`.
import { bytesToUuid, type OrganizationId, type ProfileId, type SegmentId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

interface SegmentKey {
  readonly organizationId: OrganizationId;
  readonly segmentId: SegmentId;
}

/** Exits of one segment and shard for which it is worth walking the segment's rows. */
export const SWEPT_EXITS_MIN = 250;
/** Ids in one delete: beyond a few hundred MySQL's planner walks the table instead of the key. */
const DELETE_CHUNK = 250;

/** One that many have left, in these shards. */
export async function findSweepable(
  db: Queryable,
  shards: readonly number[],
): Promise<SegmentKey | undefined> {
  const row = await db("segment_counts")
    .whereIn("shard", [...shards])
    .andWhere("exits", ">=", SWEPT_EXITS_MIN)
    .first<{ organization_id: Buffer; segment_id: Buffer } | undefined>("organization_id", "segment_id");
  return row && { organizationId: bytesToUuid(row.organization_id), segmentId: bytesToUuid(row.segment_id) };
}

/** By shard. */
export async function readExits(
  db: Queryable,
  key: SegmentKey,
  shards: readonly number[],
): Promise<Map<number, number>> {
  const rows: { shard: number; exits: number }[] = await db("segment_counts")
    .select("shard", "exits")
    .where(keyOf(key))
    .whereIn("shard", [...shards])
    .orderBy("shard");
  return new Map(rows.map(({ shard, exits }) => [shard, exits]));
}

/** A run of the segment's rows, whoever owns them. */
export async function listRows(
  db: Queryable,
  key: SegmentKey,
  after: ProfileId,
  limit: number,
): Promise<{ readonly profileId: ProfileId; readonly member: boolean }[]> {
  const rows: { profile_id: Buffer; member: number }[] = await db("memberships")
    .select("profile_id", "member")
    .where(keyOf(key))
    .andWhere("profile_id", ">", uuidToBytes(after))
    .orderBy("profile_id")
    .limit(limit);
  return rows.map((row) => ({ profileId: bytesToUuid(row.profile_id), member: row.member === 1 }));
}

/** The profiles are sorted, and of shards that the transaction's process owns. */
export async function deleteLeft(
  trx: Transaction,
  key: SegmentKey,
  profileIds: readonly ProfileId[],
): Promise<void> {
  for (let start = 0; start < profileIds.length; start += DELETE_CHUNK) {
    await trx("memberships")
      .where({ ...keyOf(key), member: 0 })
      .whereIn("profile_id", profileIds.slice(start, start + DELETE_CHUNK).map(uuidToBytes))
      .delete();
  }
}

/** Their rows are gone; those of later exits may not be. */
export async function forgetExits(
  trx: Transaction,
  key: SegmentKey,
  exits: ReadonlyMap<number, number>,
): Promise<void> {
  for (const [shard, count] of exits) {
    await trx("segment_counts")
      .where({ ...keyOf(key), shard })
      .decrement("exits", count);
  }
}

function keyOf({ organizationId, segmentId }: SegmentKey) {
  return { organization_id: uuidToBytes(organizationId), segment_id: uuidToBytes(segmentId) };
}
