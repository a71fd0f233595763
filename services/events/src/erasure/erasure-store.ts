// Stores erasure receipts: every statement against `erasures` and `erasure_counts`.
import { bytesToUuid, chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { forUpdate, insertRows, type Queryable, type Transaction } from "@muster/db";
import { type Erasure, type ErasureKey, locations, type RemovedCount } from "./erasure.ts";
import { removeDoneTasks } from "./task-store.ts";

interface ErasureRow {
  readonly erasure_id: Buffer;
  readonly create_ms: number;
  readonly complete_ms: number | null;
}

const COLUMNS = ["erasure_id", "create_ms", "complete_ms"] as const;
const LOCATION_KEY = ["organization_id", "erasure_id", "profile_id", "location"];

/** Inserts a running receipt without counts. */
export async function insertErasure(trx: Transaction, erasure: ErasureKey, createMs: number): Promise<void> {
  await trx("erasures").insert({ ...keyOf(erasure), create_ms: createMs });
}

/** Adds removed entries to the counts of the receipt. */
export async function addRemovedCounts(
  trx: Transaction,
  erasure: ErasureKey,
  profileId: ProfileId,
  counts: readonly RemovedCount[],
): Promise<void> {
  await addRemovedCountsOf(trx, erasure, new Map([[profileId, counts]]));
}

/** Adds removed entries of several profiles. */
export async function addRemovedCountsOf(
  trx: Transaction,
  erasure: ErasureKey,
  counts: ReadonlyMap<ProfileId, readonly RemovedCount[]>,
): Promise<void> {
  const nonZero = Array.from(counts, ([id, own]) => [id, own.filter(({ count }) => count > 0)] as const);
  await writeRemovedCounts(trx, erasure, new Map(nonZero), { add: ["entries"] });
}

/** Inserts counts for locations without a count; existing counts do not change. */
export async function insertRemovedCounts(
  trx: Transaction,
  erasure: ErasureKey,
  profileId: ProfileId,
  counts: readonly RemovedCount[],
): Promise<void> {
  await writeRemovedCounts(trx, erasure, new Map([[profileId, counts]]), "keep");
}

async function writeRemovedCounts(
  trx: Transaction,
  erasure: ErasureKey,
  counts: ReadonlyMap<ProfileId, readonly RemovedCount[]>,
  onConflict: Parameters<typeof insertRows>[4],
): Promise<void> {
  const { organization_id, erasure_id } = keyOf(erasure);
  const rows = [...counts].flatMap(([profileId, own]) => {
    const profile = uuidToBytes(profileId);
    return own.map(
      ({ location, count }) => [organization_id, erasure_id, profile, Buffer.from(location), count] as const,
    );
  });
  rows.sort((a, b) => Buffer.compare(a[2], b[2]) || Buffer.compare(a[3], b[3]));
  await insertRows(trx, "erasure_counts", [...LOCATION_KEY, "entries"], rows, onConflict, LOCATION_KEY);
}

/**
 * Locks the receipt, so that no other transaction completes the erasure. False when the receipt does not
 * exist.
 */
export async function lockErasure(trx: Transaction, erasure: ErasureKey): Promise<boolean> {
  const rows = await forUpdate(trx, trx("erasures").select("create_ms").where(keyOf(erasure)));
  return rows.length === 1;
}

async function completeErasure(trx: Transaction, erasure: ErasureKey, completeMs: number): Promise<void> {
  await trx("erasures").where(keyOf(erasure)).whereNull("complete_ms").update({ complete_ms: completeMs });
}

/**
 * Completes an erasure when no task is left, here or in the services that follow. False when the receipt does not
 * exist.
 */
export async function finishErasure(trx: Transaction, erasure: ErasureKey, nowMs: number): Promise<boolean> {
  // The lock serializes two transactions that finish the last parts at the same time.
  if (!(await lockErasure(trx, erasure))) return false;
  const isLeft = await removeDoneTasks(trx, erasure);
  if (!isLeft) await completeErasure(trx, erasure, nowMs);
  return true;
}

/** Returns a receipt with the counts of all locations, or undefined. */
export async function getErasure(db: Queryable, erasure: ErasureKey): Promise<Erasure | undefined> {
  const rows = await db("erasures").select<ErasureRow[]>(COLUMNS).where(keyOf(erasure));
  const [found] = await withRemovedCounts(db, erasure.organizationId, rows);
  return found;
}

/** Lists receipts, newest first. */
export async function listErasures(
  db: Queryable,
  organizationId: OrganizationId,
  before: string | undefined,
  limit: number,
): Promise<Erasure[]> {
  const query = db("erasures")
    .select<ErasureRow[]>(COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .orderBy("erasure_id", "desc")
    .limit(limit);
  if (before !== undefined) query.where("erasure_id", "<", uuidToBytes(before));
  return withRemovedCounts(db, organizationId, await query);
}

/** Returns the profiles of the erased person. */
export async function erasedProfileIds(db: Queryable, erasure: ErasureKey): Promise<ProfileId[]> {
  const { organization_id, erasure_id } = keyOf(erasure);
  const rows: { profile_id: Buffer }[] = await db("erasure_counts")
    .select("profile_id")
    .where({ organization_id, erasure_id, location: Buffer.from(locations.profiles) });
  return rows.map((row) => bytesToUuid<ProfileId>(row.profile_id)).sort();
}

/** Erasures whose counts one statement sums. */
const COUNTED_AT_ONCE = 50;

async function withRemovedCounts(
  db: Queryable,
  organizationId: OrganizationId,
  rows: readonly ErasureRow[],
): Promise<Erasure[]> {
  const found: Erasure[] = [];
  for (const some of chunksOf(rows, COUNTED_AT_ONCE)) {
    const counts = await sumRemovedCounts(db, organizationId, some);
    const profileIds = await listProfiles(db, organizationId, some);
    for (const row of some) {
      const id = bytesToUuid(row.erasure_id);
      found.push({
        organizationId,
        id,
        createMs: Number(row.create_ms),
        completeMs: row.complete_ms === null ? undefined : Number(row.complete_ms),
        profileIds: profileIds.get(id) ?? [],
        locations: counts.get(id) ?? [],
      });
    }
  }
  return found;
}

async function sumRemovedCounts(
  db: Queryable,
  organizationId: OrganizationId,
  erasures: readonly ErasureRow[],
): Promise<Map<string, RemovedCount[]>> {
  const rows: { erasure_id: Buffer; location: Buffer; count: number | string }[] = await db("erasure_counts")
    .select("erasure_id", "location")
    .sum({ count: "entries" })
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn(
      "erasure_id",
      erasures.map((row) => row.erasure_id),
    )
    .groupBy("erasure_id", "location");
  const counts = new Map<string, RemovedCount[]>();
  for (const { erasure_id, location, count } of rows) {
    const id = bytesToUuid(erasure_id);
    const sums = counts.get(id) ?? [];
    counts.set(id, sums);
    sums.push({ location: location.toString(), count: Number(count) });
  }
  for (const locations of counts.values()) locations.sort((a, b) => (a.location < b.location ? -1 : 1));
  return counts;
}

async function listProfiles(
  db: Queryable,
  organizationId: OrganizationId,
  erasures: readonly ErasureRow[],
): Promise<Map<string, ProfileId[]>> {
  const rows: { erasure_id: Buffer; profile_id: Buffer }[] = await db("erasure_counts")
    .select("erasure_id", "profile_id")
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn(
      "erasure_id",
      erasures.map((row) => row.erasure_id),
    )
    .andWhere("location", Buffer.from(locations.profiles));
  const ids = Map.groupBy(rows, (row) => bytesToUuid(row.erasure_id));
  return new Map(
    Array.from(
      ids,
      ([id, own]) => [id, own.map((row) => bytesToUuid<ProfileId>(row.profile_id)).sort()] as const,
    ),
  );
}

function keyOf({ organizationId, id }: ErasureKey): { organization_id: Buffer; erasure_id: Buffer } {
  return { organization_id: uuidToBytes(organizationId), erasure_id: uuidToBytes(id) };
}
