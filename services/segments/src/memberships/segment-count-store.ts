// Holds every statement against `segment_counts`: members and limited profiles by shard, and exits since the last sweep.
import { bytesToUuid, type EvaluationId, type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";

interface EvaluationKey {
  readonly organizationId: OrganizationId;
  readonly evaluationId: EvaluationId;
}

interface ShardOfEvaluation extends EvaluationKey {
  readonly shard: number;
}

/** An entry or an exit. */
interface CountedChange extends ShardOfEvaluation {
  readonly member: boolean;
}

const KEY = ["organization_id", "evaluation_id", "shard"] as const;
const COLUMNS = [...KEY, "members", "exits", "limited"] as const;
/** The number of exits in one evaluation and shard that makes a walk over the rows worthwhile. */
export const SWEPT_EXITS_MIN = 250;

/** Adds the changes to the counts, in the order of the keys. */
export async function addToCounts(trx: Transaction, changes: readonly CountedChange[]): Promise<void> {
  const deltas = changes.map(({ member, ...of }) => ({
    of,
    members: member ? 1 : -1,
    exits: member ? 0 : 1,
  }));
  await addDeltas(trx, deltas);
}

/** Counts profiles with a membership that is limited, or no longer limited. */
export async function addLimitedCounts(
  trx: Transaction,
  changes: readonly (ShardOfEvaluation & { readonly isLimited: boolean })[],
): Promise<void> {
  await addDeltas(
    trx,
    changes.map(({ isLimited, ...of }) => ({ of, limited: isLimited ? 1 : -1 })),
  );
}

interface Delta {
  readonly of: ShardOfEvaluation;
  readonly members?: number;
  readonly exits?: number;
  readonly limited?: number;
}

async function addDeltas(trx: Transaction, deltas: readonly Delta[]): Promise<void> {
  const sums = new Map<string, Required<Delta>>();
  for (const { of, members = 0, exits = 0, limited = 0 } of deltas) {
    const key = `${of.organizationId}${of.evaluationId}${String(of.shard).padStart(2, "0")}`;
    const sum = sums.get(key) ?? { of, members: 0, exits: 0, limited: 0 };
    sums.set(key, {
      of,
      members: sum.members + members,
      exits: sum.exits + exits,
      limited: sum.limited + limited,
    });
  }
  const rows = [...sums]
    .filter(([, { members, exits, limited }]) => members !== 0 || exits !== 0 || limited !== 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { of, members, exits, limited }]) => [
      uuidToBytes(of.organizationId),
      uuidToBytes(of.evaluationId),
      of.shard,
      members,
      exits,
      limited,
    ]);
  const onConflict = { add: ["members", "exits", "limited"] };
  await insertRows(trx, "segment_counts", COLUMNS, rows, onConflict, KEY);
}

/** The number of members of an evaluation, and of profiles with a limited membership. */
export interface EvaluationCounts {
  readonly members: number;
  readonly limited: number;
}

/** Returns the counts of each evaluation. Evaluations without rows are left out. */
export async function readCounts(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationIds: readonly EvaluationId[],
): Promise<Map<EvaluationId, EvaluationCounts>> {
  const rows: { evaluation_id: Buffer; members: number; limited: number }[] = await db("segment_counts")
    .select("evaluation_id", "members", "limited")
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("evaluation_id", evaluationIds.map(uuidToBytes));
  const counts = new Map<EvaluationId, EvaluationCounts>();
  for (const row of rows) {
    const id = bytesToUuid<EvaluationId>(row.evaluation_id);
    const { members, limited } = counts.get(id) ?? { members: 0, limited: 0 };
    counts.set(id, { members: members + row.members, limited: limited + row.limited });
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
