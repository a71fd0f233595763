// Stores the remaining work of erasures, so that a crash loses none: every statement against `erasure_tasks`.
import { ALL_SHARDS, bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import { type ErasureKey, type ErasureTask, stages } from "./erasure.ts";

const TABLE = "erasure_tasks";
const COLUMNS = [
  "shard",
  "erasure_id",
  "profile_id",
  "organization_id",
  "is_merge_target",
  "position",
  "stage",
  "is_reported",
  "lease_until_ms",
] as const;

interface TaskRow {
  readonly shard: number;
  readonly erasure_id: Buffer;
  readonly profile_id: Buffer;
  readonly organization_id: Buffer;
  readonly is_merge_target: number;
  readonly position: number;
}

/** Inserts tasks in the stage `rows`, leased until `leaseUntilMs`. */
export async function insertTasks(
  trx: Transaction,
  tasks: readonly ErasureTask[],
  leaseUntilMs: number,
): Promise<void> {
  const rows = tasks
    .map(({ shard, erasure, profileId, isMergeTarget, position }) => [
      ...[shard, uuidToBytes(erasure.id), uuidToBytes(profileId), uuidToBytes(erasure.organizationId)],
      // The erasure of a merge target is not published, so no service reports back.
      ...[isMergeTarget ? 1 : 0, position, stages.rows, isMergeTarget ? 1 : 0, leaseUntilMs],
    ])
    .sort((a, b) => Number(a[0]) - Number(b[0]) || Buffer.compare(a[2] as Buffer, b[2] as Buffer));
  await insertRows(trx, TABLE, COLUMNS, rows, "fail", ["shard", "erasure_id", "profile_id"]);
}

/** Takes the lease of a task. Returns false when another worker holds the lease at `nowMs`. */
export async function leaseTask(
  trx: Transaction,
  task: ErasureTask,
  lease: { readonly nowMs: number; readonly untilMs: number },
): Promise<boolean> {
  const leased = await trx(TABLE)
    .where({ ...keyOf(task), stage: stages.rows })
    .where("lease_until_ms", "<=", lease.nowMs)
    .update({ lease_until_ms: lease.untilMs });
  return leased === 1;
}

/** Clears all leases after the previous process has stopped. */
export async function releaseTasks(trx: Transaction): Promise<void> {
  await trx(TABLE)
    .whereIn("shard", [...ALL_SHARDS])
    .andWhere("stage", stages.rows)
    .update({ lease_until_ms: 0 });
}

/** Renews the lease on the tasks of an erasure. */
export async function renewLeases(
  trx: Transaction,
  tasks: readonly ErasureTask[],
  untilMs: number,
): Promise<void> {
  for (const task of tasks) {
    await trx(TABLE)
      .where({ ...keyOf(task), stage: stages.rows })
      .update({ lease_until_ms: untilMs });
  }
}

/** Lists tasks with remaining rows and without a valid lease. */
export async function listOpenTasks(db: Queryable, nowMs: number, limit: number): Promise<ErasureTask[]> {
  const rows: TaskRow[] = await tasksOf(db)
    .where("stage", stages.rows)
    .andWhere("lease_until_ms", "<=", nowMs)
    .limit(limit);
  return rows.map(fromRow);
}

/** Lists tasks whose messages the broker can still hold. */
export async function listBrokerTasks(db: Queryable, limit: number): Promise<ErasureTask[]> {
  const rows: TaskRow[] = await tasksOf(db).where("stage", stages.broker).limit(limit);
  return rows.map(fromRow);
}

/** Moves a task to a later stage; an earlier stage is ignored. */
export async function setStage(trx: Transaction, task: ErasureTask, stage: number): Promise<void> {
  await trx(TABLE).where(keyOf(task)).andWhere("stage", "<", stage).update({ stage });
}

/** Marks the task of a profile as reported by the other services. */
export async function markReported(
  trx: Transaction,
  erasure: ErasureKey,
  profileId: ProfileId,
): Promise<void> {
  await trx(TABLE)
    .where({ ...erasureFilter(erasure), profile_id: uuidToBytes(profileId) })
    .update({ is_reported: 1 });
}

/** Removes finished and reported tasks. Returns whether any task is left. */
export async function removeDoneTasks(trx: Transaction, erasure: ErasureKey): Promise<boolean> {
  await trx(TABLE)
    .where({ ...erasureFilter(erasure), stage: stages.done, is_reported: 1 })
    .delete();
  const left = await trx(TABLE).select("shard").where(erasureFilter(erasure)).limit(1);
  return left.length > 0;
}

function tasksOf(db: Queryable) {
  return db(TABLE)
    .select("shard", "erasure_id", "profile_id", "organization_id", "is_merge_target", "position")
    .whereIn("shard", [...ALL_SHARDS]);
}

function fromRow(row: TaskRow): ErasureTask {
  return {
    erasure: {
      organizationId: bytesToUuid<OrganizationId>(row.organization_id),
      id: bytesToUuid(row.erasure_id),
    },
    shard: row.shard,
    profileId: bytesToUuid<ProfileId>(row.profile_id),
    isMergeTarget: row.is_merge_target === 1,
    position: Number(row.position),
  };
}

function keyOf({ shard, erasure, profileId }: ErasureTask) {
  return { shard, erasure_id: uuidToBytes(erasure.id), profile_id: uuidToBytes(profileId) };
}

function erasureFilter({ organizationId, id }: ErasureKey) {
  return { organization_id: uuidToBytes(organizationId), erasure_id: uuidToBytes(id) };
}
