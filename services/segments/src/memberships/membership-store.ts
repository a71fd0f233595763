// Holds every statement against `memberships`, whose rows stay after an exit.
import {
  bytesToUuid,
  chunksOf,
  type EvaluationId,
  type OrganizationId,
  type ProfileId,
  uuidToBytes,
} from "@muster/core";
import { IN_LIST_VALUES_MAX, insertRows, type Queryable, type Transaction } from "@muster/db";
import { addToCounts } from "./segment-count-store.ts";

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

export interface MembershipRow {
  /** The evaluation of the row. */
  readonly evaluationId: EvaluationId;
  readonly member: boolean;
  readonly enteredMs: number;
  readonly changedMs: number;
}

interface EvaluationKey {
  readonly organizationId: OrganizationId;
  readonly evaluationId: EvaluationId;
}

const KEY = ["organization_id", "evaluation_id", "profile_id"] as const;
const COLUMNS = [...KEY, "member", "entered_ms", "changed_ms"] as const;
/** Rows in one delete: with more than a few hundred, MySQL's planner walks the table instead of the key. */
const DELETE_CHUNK = 250;
/** Evaluations in one lookup of a profile, for the same reason. */
const ROWS_OF_PROFILE_CHUNK = 250;
/** Pairs of evaluation and profile in a statement. With more, the planner walks the table. */
const PAIRS_MAX = 500;

/** Saves changed memberships and updates the counts. Each row is a change: an entry or an exit. */
export async function saveMemberships(trx: Transaction, changes: readonly Membership[]): Promise<void> {
  const sorted = [...changes].sort(compare);
  const rows = sorted.map(rowOf);
  const onConflict = { overwrite: ["member", "entered_ms", "changed_ms"] };
  await insertRows(trx, "memberships", COLUMNS, rows, onConflict, KEY);
  await addToCounts(trx, sorted);
}

/** Saves the times of entry of current members. */
export async function saveEnteredTimes(trx: Transaction, members: readonly Membership[]): Promise<void> {
  const rows = [...members].sort(compare).map(rowOf);
  await insertRows(trx, "memberships", COLUMNS, rows, { overwrite: ["entered_ms"] }, KEY);
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

/** Returns the members among these profiles, with their times of entry. */
export async function findMembers(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationId: EvaluationId,
  profileIds: readonly ProfileId[],
): Promise<Map<ProfileId, number>> {
  const found = new Map<ProfileId, number>();
  for (const ids of chunksOf(profileIds, IN_LIST_VALUES_MAX)) {
    const rows: { profile_id: Buffer; entered_ms: number }[] = await db("memberships")
      .select("profile_id", "entered_ms")
      .where({
        organization_id: uuidToBytes(organizationId),
        evaluation_id: uuidToBytes(evaluationId),
        member: 1,
      })
      .whereIn("profile_id", ids.map(uuidToBytes));
    for (const row of rows) found.set(bytesToUuid<ProfileId>(row.profile_id), row.entered_ms);
  }
  return found;
}

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

/** Returns the rows of one profile for these evaluations, exited ones included. */
export async function listStoredMemberships(
  db: Queryable,
  organizationId: OrganizationId,
  profileId: ProfileId,
  evaluationIds: readonly EvaluationId[],
): Promise<MembershipRow[]> {
  const found: MembershipRow[] = [];
  for (const ids of chunksOf(evaluationIds, ROWS_OF_PROFILE_CHUNK)) {
    const rows: { evaluation_id: Buffer; member: number; entered_ms: number; changed_ms: number }[] =
      await db("memberships")
        .select("evaluation_id", "member", "entered_ms", "changed_ms")
        .where({ organization_id: uuidToBytes(organizationId), profile_id: uuidToBytes(profileId) })
        .whereIn("evaluation_id", ids.map(uuidToBytes));
    for (const row of rows) {
      found.push({
        evaluationId: bytesToUuid(row.evaluation_id),
        member: row.member === 1,
        enteredMs: row.entered_ms,
        changedMs: row.changed_ms,
      });
    }
  }
  return found;
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
  for (const ids of chunksOf(profileIds, DELETE_CHUNK)) {
    await trx("memberships")
      .where({ ...keyOf(key), member: 0 })
      .whereIn("profile_id", ids.map(uuidToBytes))
      .delete();
  }
}

/** Returns the number of deleted rows. */
export async function deleteMemberships(
  trx: Transaction,
  organizationId: OrganizationId,
  evaluationIds: readonly EvaluationId[],
  profileIds: readonly ProfileId[],
): Promise<number> {
  let deleted = 0;
  const evaluationsAtOnce = Math.max(1, Math.floor(DELETE_CHUNK / Math.max(1, profileIds.length)));
  for (const evaluations of chunksOf(evaluationIds, evaluationsAtOnce)) {
    for (const profiles of chunksOf(profileIds, DELETE_CHUNK)) {
      deleted += await trx("memberships")
        .where("organization_id", uuidToBytes(organizationId))
        .whereIn("evaluation_id", evaluations.map(uuidToBytes))
        .whereIn("profile_id", profiles.map(uuidToBytes))
        .delete();
    }
  }
  return deleted;
}

function keyOf({ organizationId, evaluationId }: EvaluationKey) {
  return { organization_id: uuidToBytes(organizationId), evaluation_id: uuidToBytes(evaluationId) };
}

function compare(a: Membership, b: Membership): number {
  if (a.organizationId !== b.organizationId) return a.organizationId < b.organizationId ? -1 : 1;
  if (a.evaluationId !== b.evaluationId) return a.evaluationId < b.evaluationId ? -1 : 1;
  return a.profileId < b.profileId ? -1 : 1;
}
