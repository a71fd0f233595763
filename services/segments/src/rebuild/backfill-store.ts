// Stores backfills and incomplete shards: every statement against `segment_backfills` and `incomplete_shards`.
// A row of a backfill exists only while its work is pending.
import {
  bytesToUuid,
  chunksOf,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  uuidToBytes,
} from "@muster/core";
import { forUpdate, insertRows, type OnConflict, type Queryable, type Transaction } from "@muster/db";
import { NO_PROFILE, type ProfileKey } from "../profiles/profile-key.ts";

/** The id that stands for every evaluation of the organization. */
export const ALL_EVALUATIONS = "00000000-0000-0000-0000-000000000000" as EvaluationId;

/** Progress of the backfill of an evaluation in a shard. */
export interface Backfill {
  readonly organizationId: OrganizationId;
  readonly evaluationId: EvaluationId;
  readonly shard: number;
  /** Profiles up to and including this one are done. */
  readonly afterProfileId: ProfileId;
}

interface BackfillRow {
  organization_id: Buffer;
  evaluation_id: Buffer;
  shard: number;
  after_profile_id: Buffer;
}

const BACKFILL_COLUMNS = ["organization_id", "evaluation_id", "shard", "after_profile_id"] as const;
const BACKFILL_KEY = ["organization_id", "evaluation_id", "shard"] as const;

/** Starts at the first profile in each of the shards. A running backfill starts over. */
export async function addBackfills(
  trx: Transaction,
  organizationId: OrganizationId,
  evaluationId: EvaluationId,
  shards: readonly number[],
): Promise<void> {
  const restart: OnConflict = { overwrite: ["after_profile_id"] };
  const rows = [...shards]
    .sort((a, b) => a - b)
    .map((shard) => [uuidToBytes(organizationId), uuidToBytes(evaluationId), shard, uuidToBytes(NO_PROFILE)]);
  await insertRows(trx, "segment_backfills", BACKFILL_COLUMNS, rows, restart, BACKFILL_KEY);
}

export async function deleteBackfills(
  trx: Transaction,
  organizationId: OrganizationId,
  evaluationId: EvaluationId,
): Promise<void> {
  await trx("segment_backfills")
    .where({ organization_id: uuidToBytes(organizationId), evaluation_id: uuidToBytes(evaluationId) })
    .delete();
}

/** A shard's oldest unfinished evaluation. */
export interface OldestBackfill {
  readonly shard: number;
  readonly evaluationId: EvaluationId;
}

/** The shards with unfinished backfills of the organization. Costs an index lookup for each shard. */
export async function listOldestBackfills(
  db: Queryable,
  organizationId: OrganizationId,
  shards: readonly number[],
): Promise<OldestBackfill[]> {
  if (shards.length === 0) return [];
  const lookups = shards.map((shard) =>
    db("segment_backfills")
      .min("evaluation_id")
      .where({ shard, organization_id: uuidToBytes(organizationId) })
      .as(`of_${shard}`),
  );
  const [row]: Record<string, Buffer | null>[] = await db.select(lookups);
  return shards.flatMap((shard) => {
    const id = row?.[`of_${shard}`] ?? null;
    return id === null ? [] : [{ shard, evaluationId: bytesToUuid<EvaluationId>(id) }];
  });
}

/** Unfinished backfills by shard, the oldest evaluation first. */
export async function listBackfillsOfShards(
  db: Queryable,
  organizationId: OrganizationId,
  shards: readonly number[],
): Promise<Backfill[]> {
  const rows = await db("segment_backfills")
    .select<BackfillRow[]>(BACKFILL_COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("shard", [...shards])
    .orderBy(["shard", "evaluation_id"]);
  return rows.map(fromRow);
}

/** The first organization after the given id with a backfill in the shards. */
export async function nextOrganizationToBackfill(
  db: Queryable,
  shards: readonly number[],
  after: OrganizationId | undefined,
): Promise<OrganizationId | undefined> {
  const query = db("segment_backfills")
    .whereIn("shard", [...shards])
    .orderBy("organization_id")
    .first<{ organization_id: Buffer } | undefined>("organization_id");
  if (after !== undefined) query.andWhere("organization_id", ">", uuidToBytes(after));
  const row = await query;
  return row && bytesToUuid(row.organization_id);
}

/** Unfinished backfills of the evaluations, including backfills of all evaluations. */
export async function listBackfillsOfEvaluations(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationIds: readonly EvaluationId[],
): Promise<Backfill[]> {
  const rows = await db("segment_backfills")
    .select<BackfillRow[]>(BACKFILL_COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("evaluation_id", [ALL_EVALUATIONS, ...evaluationIds].map(uuidToBytes));
  return rows.map(fromRow);
}

/** Evaluations of the organization with a backfill that has not reached the profile. */
export async function listEvaluationsBehind(
  db: Queryable,
  { organizationId, shard, profileId }: ProfileKey,
): Promise<EvaluationId[]> {
  const rows = await db("segment_backfills")
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .andWhere("after_profile_id", "<", uuidToBytes(profileId))
    .select<{ evaluation_id: Buffer }[]>("evaluation_id");
  return rows.map((row) => bytesToUuid<EvaluationId>(row.evaluation_id));
}

/** Ids in a statement. With more than a few hundred, MySQL's planner walks the table instead of the key. */
const ADVANCE_CHUNK = 250;

/**
 * Moves backfills on to `throughProfileId`; undefined deletes them. All are of the same organization and
 * shard.
 */
export async function advanceBackfills(
  trx: Transaction,
  backfills: readonly Backfill[],
  throughProfileId: ProfileId | undefined,
): Promise<void> {
  const [first] = backfills;
  if (first === undefined) return;
  const evaluationIds = backfills.map(({ evaluationId }) => evaluationId).sort();
  for (const chunk of chunksOf(evaluationIds, ADVANCE_CHUNK)) {
    const rows = trx("segment_backfills")
      .where({ organization_id: uuidToBytes(first.organizationId), shard: first.shard })
      .whereIn("evaluation_id", chunk.map(uuidToBytes));
    if (throughProfileId === undefined) await rows.delete();
    else await rows.update({ after_profile_id: uuidToBytes(throughProfileId) });
  }
}

/** Not a shard: the row whose lock serializes marking a shard and provisioning an organization. */
const INCOMPLETE_SHARDS_LOCK = 255;

export async function seedIncompleteShardsLock(trx: Transaction): Promise<void> {
  await insertRows(trx, "incomplete_shards", ["shard", "marked_ms"], [[INCOMPLETE_SHARDS_LOCK, 0]], "keep", [
    "shard",
  ]);
}

/** Held while organizations are listed for marking, and while an organization is provisioned. */
export async function lockIncompleteShards(trx: Transaction): Promise<void> {
  await forUpdate(trx, trx("incomplete_shards").select("shard").where("shard", INCOMPLETE_SHARDS_LOCK));
}

export async function markShardIncomplete(trx: Transaction, shard: number, nowMs: number): Promise<void> {
  const onConflict: OnConflict = { overwrite: ["marked_ms"] };
  await insertRows(trx, "incomplete_shards", ["shard", "marked_ms"], [[shard, nowMs]], onConflict, ["shard"]);
}

export async function readIncompleteShards(db: Queryable): Promise<number[]> {
  const rows: { shard: number }[] = await db("incomplete_shards")
    .select("shard")
    .where("shard", "<", INCOMPLETE_SHARDS_LOCK)
    .orderBy("shard");
  return rows.map((row) => row.shard);
}

function fromRow(row: BackfillRow): Backfill {
  return {
    organizationId: bytesToUuid(row.organization_id),
    evaluationId: bytesToUuid(row.evaluation_id),
    shard: row.shard,
    afterProfileId: bytesToUuid(row.after_profile_id),
  };
}
