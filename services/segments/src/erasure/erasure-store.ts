// Stores unfinished erasures: every statement against `erasure_reports`. A row stays until the events service
// has acknowledged the report.

import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { forUpdate, insertRows, type Queryable, type Transaction } from "@muster/db";
import { readPositions } from "@muster/outbox";
import type { ProfileKey } from "../profiles/profile-key.ts";

/** One profile of an erasure. */
export interface ErasedProfile extends ProfileKey {
  readonly erasureId: string;
}

export interface Erasure extends ErasedProfile {
  /** Outbox messages of the shard up to this position may contain the profile. */
  readonly through: number;
}

/** Removed rows, messages or entries, by location. */
export type RemovedCounts = Readonly<Record<string, number>>;

interface Row {
  shard: number;
  organization_id: Buffer;
  erasure_id: Buffer;
  profile_id: Buffer;
  through_position: number;
  locations: string;
}

const KEY = ["shard", "organization_id", "erasure_id", "profile_id"] as const;
const COLUMNS = [...KEY, "through_position", "locations", "requested_ms"] as const;

/**
 * Runs in the transaction that applies the erasure: later messages of the shard contain only the profile's
 * exits. Repeating the call changes nothing.
 */
export async function addErasures(
  trx: Transaction,
  erased: readonly ErasedProfile[],
  nowMs: number,
): Promise<void> {
  if (erased.length === 0) return;
  const positions = await readPositions(trx);
  const rows = erased.map(({ shard, organizationId, erasureId, profileId }) => [
    ...[shard, uuidToBytes(organizationId), uuidToBytes(erasureId), uuidToBytes(profileId)],
    ...[positions[shard] ?? 0, "{}", nowMs],
  ]);
  await insertRows(trx, "erasure_reports", COLUMNS, rows, "keep", KEY);
}

/** Unfinished erasures of these shards, by key. */
export async function listErasures(
  db: Queryable,
  shards: readonly number[],
  limit: number,
): Promise<Erasure[]> {
  const rows = await db("erasure_reports")
    .select<Row[]>(...KEY, "through_position")
    .whereIn("shard", [...shards])
    .orderBy([...KEY])
    .limit(limit);
  return rows.map((row) => ({
    shard: row.shard,
    organizationId: bytesToUuid<OrganizationId>(row.organization_id),
    erasureId: bytesToUuid(row.erasure_id),
    profileId: bytesToUuid<ProfileId>(row.profile_id),
    through: row.through_position,
  }));
}

/** Adds removed counts to the profile's erasures. A count of 0 adds its location too. */
export async function addRemovedCounts(
  trx: Transaction,
  profile: ProfileKey,
  locations: RemovedCounts,
): Promise<void> {
  const { shard, organizationId, profileId } = profile;
  const ofProfile = { organization_id: uuidToBytes(organizationId), profile_id: uuidToBytes(profileId) };
  const query = trx("erasure_reports")
    .select<Pick<Row, "erasure_id" | "locations">[]>("erasure_id", "locations")
    .where({ shard, ...ofProfile });
  for (const row of await forUpdate(trx, query)) {
    const sum: Record<string, number> = JSON.parse(row.locations);
    for (const [location, count] of Object.entries(locations)) sum[location] = (sum[location] ?? 0) + count;
    await trx("erasure_reports")
      .where({ shard, erasure_id: row.erasure_id, ...ofProfile })
      .update({ locations: JSON.stringify(sum) });
  }
}

/** Removed counts so far; empty if the erasure is finished. */
export async function readRemovedCounts(db: Queryable, erasure: ErasedProfile): Promise<RemovedCounts> {
  const row = await db("erasure_reports")
    .where(keyOf(erasure))
    .first<Pick<Row, "locations"> | undefined>("locations");
  return row === undefined ? {} : JSON.parse(row.locations);
}

/** Called after the report was acknowledged. */
export async function deleteErasure(trx: Transaction, erasure: ErasedProfile): Promise<void> {
  await trx("erasure_reports").where(keyOf(erasure)).delete();
}

function keyOf({ shard, organizationId, erasureId, profileId }: ErasedProfile) {
  return {
    shard,
    organization_id: uuidToBytes(organizationId),
    erasure_id: uuidToBytes(erasureId),
    profile_id: uuidToBytes(profileId),
  };
}
