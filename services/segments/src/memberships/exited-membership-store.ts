// Holds the statements that find and delete exited rows of `memberships`, and their numbers in
// `segment_counts`.
import {
  bytesToUuid,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  uuidToBytes,
} from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

interface EvaluationKey {
  readonly organizationId: OrganizationId;
  readonly evaluationId: EvaluationId;
}

/** The number of exits in one evaluation and shard that makes a walk over the rows worthwhile. */
export const SWEPT_EXITS_MIN = 250;
/** Ids in one delete: with more than a few hundred, MySQL's planner walks the table instead of the key. */
const DELETE_CHUNK = 250;

/** Returns an evaluation with many exits in these shards. */
export async function findSweepable(
  db: Queryable,
  shards: readonly number[],
): Promise<EvaluationKey | undefined> {
  const row = await db("segment_counts")
    .whereIn("shard", [...shards])
    .andWhere("exits", ">=", SWEPT_EXITS_MIN)
    .first<{ organization_id: Buffer; evaluation_id: Buffer } | undefined>(
      "organization_id",
      "evaluation_id",
    );
  return (
    row && { organizationId: bytesToUuid(row.organization_id), evaluationId: bytesToUuid(row.evaluation_id) }
  );
}

/** Returns the numbers of exits by shard. */
export async function readExits(
  db: Queryable,
  key: EvaluationKey,
  shards: readonly number[],
): Promise<Map<number, number>> {
  const rows: { shard: number; exits: number }[] = await db("segment_counts")
    .select("shard", "exits")
    .where(keyOf(key))
    .whereIn("shard", [...shards])
    .orderBy("shard");
  return new Map(rows.map(({ shard, exits }) => [shard, exits]));
}

/** Returns a run of the rows of an evaluation, of all shards. */
export async function listMembershipRows(
  db: Queryable,
  key: EvaluationKey,
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
export async function deleteExited(
  trx: Transaction,
  key: EvaluationKey,
  profileIds: readonly ProfileId[],
): Promise<void> {
  for (let start = 0; start < profileIds.length; start += DELETE_CHUNK) {
    await trx("memberships")
      .where({ ...keyOf(key), member: 0 })
      .whereIn("profile_id", profileIds.slice(start, start + DELETE_CHUNK).map(uuidToBytes))
      .delete();
  }
}

/** Subtracts the exits with deleted rows, so that later exits stay counted. */
export async function subtractExits(
  trx: Transaction,
  key: EvaluationKey,
  exits: ReadonlyMap<number, number>,
): Promise<void> {
  for (const [shard, count] of exits) {
    await trx("segment_counts")
      .where({ ...keyOf(key), shard })
      .decrement("exits", count);
  }
}

function keyOf({ organizationId, evaluationId }: EvaluationKey) {
  return { organization_id: uuidToBytes(organizationId), evaluation_id: uuidToBytes(evaluationId) };
}
