// Holds every statement against `segment_counts`: members by shard, and exits since the last sweep.
import { bytesToUuid, type EvaluationId, type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";

interface EvaluationKey {
  readonly organizationId: OrganizationId;
  readonly evaluationId: EvaluationId;
}

/** An entry or an exit. */
interface CountedChange extends EvaluationKey {
  readonly shard: number;
  readonly member: boolean;
}

const KEY = ["organization_id", "evaluation_id", "shard"] as const;
const COLUMNS = [...KEY, "members", "exits"] as const;
/** The number of exits in one evaluation and shard that makes a walk over the rows worthwhile. */
export const SWEPT_EXITS_MIN = 250;

/** Adds the changes to the counts, in the order of the keys. */
export async function addToCounts(trx: Transaction, changes: readonly CountedChange[]): Promise<void> {
  const deltas = new Map<
    string,
    { readonly of: EvaluationKey & { readonly shard: number }; by: number; exits: number }
  >();
  for (const change of changes) {
    const key = `${change.organizationId}${change.evaluationId}${String(change.shard).padStart(2, "0")}`;
    const delta = deltas.get(key) ?? { of: change, by: 0, exits: 0 };
    delta.by += change.member ? 1 : -1;
    if (!change.member) delta.exits += 1;
    deltas.set(key, delta);
  }
  const rows = [...deltas]
    .filter(([, { by, exits }]) => by !== 0 || exits !== 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { of, by, exits }]) => [
      uuidToBytes(of.organizationId),
      uuidToBytes(of.evaluationId),
      of.shard,
      by,
      exits,
    ]);
  const onConflict = { add: ["members", "exits"] };
  await insertRows(trx, "segment_counts", COLUMNS, rows, onConflict, KEY);
}

/** Returns the number of members of each evaluation. Evaluations without members are left out. */
export async function countMembers(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationIds: readonly EvaluationId[],
): Promise<Map<EvaluationId, number>> {
  const rows: { evaluation_id: Buffer; members: number }[] = await db("segment_counts")
    .select("evaluation_id", "members")
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("evaluation_id", evaluationIds.map(uuidToBytes));
  const counts = new Map<EvaluationId, number>();
  for (const row of rows) {
    const id = bytesToUuid<EvaluationId>(row.evaluation_id);
    counts.set(id, (counts.get(id) ?? 0) + row.members);
  }
  return counts;
}

export async function deleteCounts(
  trx: Transaction,
  organizationId: OrganizationId,
  evaluationIds: readonly EvaluationId[],
  shard: number,
): Promise<void> {
  await trx("segment_counts")
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .whereIn("evaluation_id", evaluationIds.map(uuidToBytes))
    .delete();
}

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
