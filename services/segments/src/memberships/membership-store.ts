// Holds every statement against `memberships` and `segment_counts`.
import {
  bytesToUuid,
  chunksOf,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  uuidToBytes,
} from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";

export interface Membership {
  readonly organizationId: OrganizationId;
  readonly shard: number;
  readonly evaluationId: EvaluationId;
  readonly profileId: ProfileId;
  readonly member: boolean;
  readonly enteredMs: number;
  readonly changedMs: number;
}

export interface Member {
  readonly profileId: ProfileId;
  readonly enteredMs: number;
}

const MEMBERSHIP_KEY = ["organization_id", "evaluation_id", "profile_id"] as const;
const MEMBERSHIP_COLUMNS = [...MEMBERSHIP_KEY, "member", "entered_ms", "changed_ms"] as const;
const COUNT_KEY = ["organization_id", "evaluation_id", "shard"] as const;
const COUNT_COLUMNS = [...COUNT_KEY, "members", "exits"] as const;
/** Rows in one delete: with more than a few hundred, MySQL's planner walks the table instead of the key. */
const DELETE_CHUNK = 250;
/** Ids in one lookup: below the size at which MariaDB converts IN lists to temporary tables. */
const LOOKUP_CHUNK = 500;

/** Saves changed memberships and updates the counts. Each row is a change: an entry or an exit. */
export async function saveMemberships(trx: Transaction, changes: readonly Membership[]): Promise<void> {
  const sorted = [...changes].sort(compare);
  const rows = sorted.map(rowOf);
  const onConflict = { overwrite: ["member", "entered_ms", "changed_ms"] };
  await insertRows(trx, "memberships", MEMBERSHIP_COLUMNS, rows, onConflict, MEMBERSHIP_KEY);
  await addToCounts(trx, sorted);
}

/** Saves the times of entry of current members. */
export async function saveEnteredTimes(trx: Transaction, members: readonly Membership[]): Promise<void> {
  const rows = [...members].sort(compare).map(rowOf);
  await insertRows(
    trx,
    "memberships",
    MEMBERSHIP_COLUMNS,
    rows,
    { overwrite: ["entered_ms"] },
    MEMBERSHIP_KEY,
  );
}

function rowOf(change: Membership) {
  return [
    uuidToBytes(change.organizationId),
    uuidToBytes(change.evaluationId),
    uuidToBytes(change.profileId),
    change.member ? 1 : 0,
    change.enteredMs,
    change.changedMs,
  ];
}

async function addToCounts(trx: Transaction, sorted: readonly Membership[]): Promise<void> {
  const deltas = new Map<string, { readonly of: Membership; by: number; exits: number }>();
  for (const change of sorted) {
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
      ...[uuidToBytes(of.organizationId), uuidToBytes(of.evaluationId), of.shard],
      ...[by, exits],
    ]);
  const onConflict = { add: ["members", "exits"] };
  await insertRows(trx, "segment_counts", COUNT_COLUMNS, rows, onConflict, COUNT_KEY);
}

/** By profile id, after the given one. */
export async function listMembers(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationId: EvaluationId,
  afterProfileId: string | undefined,
  limit: number,
): Promise<Member[]> {
  const query = db("memberships")
    .select<{ profile_id: Buffer; entered_ms: number }[]>("profile_id", "entered_ms")
    .where({
      organization_id: uuidToBytes(organizationId),
      evaluation_id: uuidToBytes(evaluationId),
      member: 1,
    })
    .orderBy("profile_id")
    .limit(limit);
  if (afterProfileId !== undefined) query.andWhere("profile_id", ">", uuidToBytes(afterProfileId));
  return (await query).map((row) => ({
    profileId: bytesToUuid(row.profile_id),
    enteredMs: row.entered_ms,
  }));
}

/** Pairs of evaluation and profile in a statement. With more, the planner walks the table. */
const PAIRS_MAX = 500;

/** For each of the profiles, the given evaluations with a membership row. */
export async function readEvaluationsByProfile(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationIds: readonly EvaluationId[],
  profileIds: readonly ProfileId[],
): Promise<Map<ProfileId, Set<EvaluationId>>> {
  const found = new Map<ProfileId, Set<EvaluationId>>(profileIds.map((id) => [id, new Set()]));
  const atOnce = Math.max(1, Math.floor(PAIRS_MAX / Math.max(1, profileIds.length)));
  for (const ids of chunksOf(evaluationIds, atOnce)) {
    const rows: { profile_id: Buffer; evaluation_id: Buffer }[] = await db("memberships")
      .select("profile_id", "evaluation_id")
      .where({ organization_id: uuidToBytes(organizationId), member: 1 })
      .whereIn("evaluation_id", ids.map(uuidToBytes))
      .whereIn("profile_id", profileIds.map(uuidToBytes));
    for (const row of rows) found.get(bytesToUuid(row.profile_id))?.add(bytesToUuid(row.evaluation_id));
  }
  return found;
}

/** Returns the members among these profiles, with their times of entry. */
export async function findMembers(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationId: EvaluationId,
  profileIds: readonly ProfileId[],
): Promise<Map<ProfileId, number>> {
  const found = new Map<ProfileId, number>();
  for (let start = 0; start < profileIds.length; start += LOOKUP_CHUNK) {
    const rows: { profile_id: Buffer; entered_ms: number }[] = await db("memberships")
      .select("profile_id", "entered_ms")
      .where({
        organization_id: uuidToBytes(organizationId),
        evaluation_id: uuidToBytes(evaluationId),
        member: 1,
      })
      .whereIn("profile_id", profileIds.slice(start, start + LOOKUP_CHUNK).map(uuidToBytes));
    for (const row of rows) found.set(bytesToUuid<ProfileId>(row.profile_id), row.entered_ms);
  }
  return found;
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

/** Returns the number of deleted rows. */
export async function deleteMemberships(
  trx: Transaction,
  organizationId: OrganizationId,
  evaluationIds: readonly EvaluationId[],
  profileIds: readonly ProfileId[],
): Promise<number> {
  let deleted = 0;
  const segmentsAtOnce = Math.max(1, Math.floor(DELETE_CHUNK / Math.max(1, profileIds.length)));
  for (let first = 0; first < evaluationIds.length; first += segmentsAtOnce) {
    const some = evaluationIds.slice(first, first + segmentsAtOnce).map(uuidToBytes);
    for (let start = 0; start < profileIds.length; start += DELETE_CHUNK) {
      deleted += await trx("memberships")
        .where("organization_id", uuidToBytes(organizationId))
        .whereIn("evaluation_id", some)
        .whereIn("profile_id", profileIds.slice(start, start + DELETE_CHUNK).map(uuidToBytes))
        .delete();
    }
  }
  return deleted;
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

function compare(a: Membership, b: Membership): number {
  if (a.organizationId !== b.organizationId) return a.organizationId < b.organizationId ? -1 : 1;
  if (a.evaluationId !== b.evaluationId) return a.evaluationId < b.evaluationId ? -1 : 1;
  return a.profileId < b.profileId ? -1 : 1;
}
