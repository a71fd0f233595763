// Every statement against `segment_purges`: what deleted segments left behind, by shard.
import { bytesToUuid, type OrganizationId, type ProfileId, type SegmentId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import { ALL_SHARDS, NO_PROFILE } from "./backfill-store.ts";

export interface Purge {
  readonly organizationId: OrganizationId;
  readonly segmentId: SegmentId;
  readonly shard: number;
  readonly afterProfileId: ProfileId;
}

interface Row {
  organization_id: Buffer;
  segment_id: Buffer;
  shard: number;
  after_profile_id: Buffer;
}

const COLUMNS = ["organization_id", "segment_id", "shard", "after_profile_id"] as const;
const KEY = ["organization_id", "shard", "segment_id"] as const;

export async function addPurges(
  trx: Transaction,
  organizationId: OrganizationId,
  segmentId: SegmentId,
): Promise<void> {
  const rows = ALL_SHARDS.map((shard) => [
    uuidToBytes(organizationId),
    uuidToBytes(segmentId),
    shard,
    uuidToBytes(NO_PROFILE),
  ]);
  await insertRows(trx, "segment_purges", COLUMNS, rows, "keep", KEY);
}

/** Unfinished ones of these shards, an organisation's shard together. */
export async function listPurges(db: Queryable, shards: readonly number[], limit: number): Promise<Purge[]> {
  const rows = await db("segment_purges")
    .select<Row[]>(COLUMNS)
    .whereIn("shard", [...shards])
    .orderBy(["organization_id", "shard", "segment_id"])
    .limit(limit);
  return rows.map((row) => ({
    organizationId: bytesToUuid(row.organization_id),
    segmentId: bytesToUuid(row.segment_id),
    shard: row.shard,
    afterProfileId: bytesToUuid(row.after_profile_id),
  }));
}

/** Moves each of them on to `throughProfileId`, or away when nothing follows. */
export async function advancePurges(
  trx: Transaction,
  purges: readonly Purge[],
  throughProfileId: ProfileId | undefined,
): Promise<void> {
  for (const { organizationId, segmentId, shard } of purges) {
    const row = trx("segment_purges").where({
      organization_id: uuidToBytes(organizationId),
      segment_id: uuidToBytes(segmentId),
      shard,
    });
    if (throughProfileId === undefined) await row.delete();
    else await row.update({ after_profile_id: uuidToBytes(throughProfileId) });
  }
}
