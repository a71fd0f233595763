// Every statement against `erasure_tasks`: what is left to do of erasures, so that a crash at any moment
// forgets none of it.
import { bytesToUuid, type OrganizationId, type ProfileId, SHARD_COUNT, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import { type ErasureKey, type ErasureTask, stages } from "./erasure.ts";

const TABLE = "erasure_tasks";
const COLUMNS = [
  "shard",
  "erasure_id",
  "profile_id",
  "organization_id",
  "is_former_root",
  "position",
  "stage",
  "is_reported",
  "lease_until_ms",
] as const;
const ALL_SHARDS = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);

interface TaskRow {
  readonly shard: number;
  readonly erasure_id: Buffer;
  readonly profile_id: Buffer;
  readonly organization_id: Buffer;
  readonly is_former_root: number;
  readonly position: number;
}

export async function insertTasks(
  trx: Transaction,
  tasks: readonly ErasureTask[],
  leaseUntilMs: number,
): Promise<void> {
  const rows = tasks
    .map(({ shard, erasure, profileId, isFormerRoot, position }) => [
      ...[shard, uuidToBytes(erasure.id), uuidToBytes(profileId), uuidToBytes(erasure.organizationId)],
      // Of another's profile nobody is told that it was erased, and so nobody reports.
      ...[isFormerRoot ? 1 : 0, position, stages.rows, isFormerRoot ? 1 : 0, leaseUntilMs],
    ])
    .sort((a, b) => Number(a[0]) - Number(b[0]) || Buffer.compare(a[2] as Buffer, b[2] as Buffer));
  await insertRows(trx, TABLE, COLUMNS, rows, "fail", ["shard", "erasure_id", "profile_id"]);
}

/** Whether the tasks' lease is ours until then: nobody else has them, or had them up to `nowMs`. */
export async function takeTask(
  trx: Transaction,
  task: ErasureTask,
  lease: { readonly nowMs: number; readonly untilMs: number },
): Promise<boolean> {
  const taken = await trx(TABLE)
    .where({ ...keyOf(task), stage: stages.rows })
    .where("lease_until_ms", "<=", lease.nowMs)
    .update({ lease_until_ms: lease.untilMs });
  return taken === 1;
}

/** Whoever held them is no more. */
export async function freeTasks(trx: Transaction): Promise<void> {
  await trx(TABLE).whereIn("shard", ALL_SHARDS).andWhere("stage", stages.rows).update({ lease_until_ms: 0 });
}

/** Keeps the tasks of an erasure that its holder is at work on. */
export async function renewTasks(
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

/** Tasks of which rows are left, and that nobody works on. */
export async function listOpenTasks(db: Queryable, nowMs: number, limit: number): Promise<ErasureTask[]> {
  const rows: TaskRow[] = await tasksOf(db)
    .where("stage", stages.rows)
    .andWhere("lease_until_ms", "<=", nowMs)
    .limit(limit);
  return rows.map(fromRow);
}

/** Tasks of which the broker may hold copies. */
export async function listBrokerTasks(db: Queryable, limit: number): Promise<ErasureTask[]> {
  const rows: TaskRow[] = await tasksOf(db).where("stage", stages.broker).limit(limit);
  return rows.map(fromRow);
}

export async function setStage(trx: Transaction, task: ErasureTask, stage: number): Promise<void> {
  await trx(TABLE).where(keyOf(task)).andWhere("stage", "<", stage).update({ stage });
}

export async function markReported(
  trx: Transaction,
  erasure: ErasureKey,
  profileId: ProfileId,
): Promise<void> {
  await trx(TABLE)
    .where({ ...ofErasure(erasure), profile_id: uuidToBytes(profileId) })
    .update({ is_reported: 1 });
}

/** Removes what is done of the erasure; resolves to whether anything is left. */
export async function removeDoneTasks(trx: Transaction, erasure: ErasureKey): Promise<boolean> {
  await trx(TABLE)
    .where({ ...ofErasure(erasure), stage: stages.done, is_reported: 1 })
    .delete();
  const left = await trx(TABLE).select("shard").where(ofErasure(erasure)).limit(1);
  return left.length > 0;
}

function tasksOf(db: Queryable) {
  return db(TABLE)
    .select("shard", "erasure_id", "profile_id", "organization_id", "is_former_root", "position")
    .whereIn("shard", ALL_SHARDS);
}

function fromRow(row: TaskRow): ErasureTask {
  return {
    erasure: {
      organizationId: bytesToUuid<OrganizationId>(row.organization_id),
      id: bytesToUuid(row.erasure_id),
    },
    shard: row.shard,
    profileId: bytesToUuid<ProfileId>(row.profile_id),
    isFormerRoot: row.is_former_root === 1,
    position: Number(row.position),
  };
}

function keyOf({ shard, erasure, profileId }: ErasureTask) {
  return { shard, erasure_id: uuidToBytes(erasure.id), profile_id: uuidToBytes(profileId) };
}

function ofErasure({ organizationId, id }: ErasureKey) {
  return { organization_id: uuidToBytes(organizationId), erasure_id: uuidToBytes(id) };
}
