// Every statement against `segment_purges`: what deleted segments and replaced rules left behind, by shard.
import { bytesToUuid, type OrganizationId, type ProfileId, type SegmentId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";
import { ALL_SHARDS, NO_PROFILE } from "./backfill-store.ts";

export interface Purge {
  readonly organizationId: OrganizationId;
  readonly segmentId: SegmentId;
  readonly shard: number;
  readonly afterProfileId: ProfileId;
  /** Of a replaced rule. */
  readonly telling: Telling | undefined;
}

/** What a rule's end leaves to be told: who is in by its successor and was not by it, or the other way round. */
export interface Telling {
  /** The evaluation that took over. */
  readonly heirId: SegmentId;
  /** Those who are in now are told of, not only those who are out. */
  readonly tellsEntries: boolean;
}

interface Row {
  organization_id: Buffer;
  segment_id: Buffer;
  shard: number;
  after_profile_id: Buffer;
  heir_id: Buffer | null;
  telling: number;
}

const COLUMNS = ["organization_id", "segment_id", "shard", "after_profile_id", "heir_id", "telling"] as const;
const KEY = ["organization_id", "shard", "segment_id"] as const;
/** Values of `telling`: nothing is told, exits, entries as well. */
const [NOTHING, EXITS, ALL] = [0, 1, 2];

export async function addPurges(
  trx: Transaction,
  organizationId: OrganizationId,
  segmentId: SegmentId,
  telling?: Telling,
): Promise<void> {
  const heirId = telling === undefined ? null : uuidToBytes(telling.heirId);
  const told = telling === undefined ? NOTHING : telling.tellsEntries ? ALL : EXITS;
  const rows = ALL_SHARDS.map((shard) => [
    uuidToBytes(organizationId),
    uuidToBytes(segmentId),
    shard,
    uuidToBytes(NO_PROFILE),
    ...[heirId, told],
  ]);
  await insertRows(trx, "segment_purges", COLUMNS, rows, "keep", KEY);
}

/** Unfinished ones of these shards, an organisation's shard together; those alone that are told, if there are any. */
export async function listPurges(db: Queryable, shards: readonly number[], limit: number): Promise<Purge[]> {
  const told = await db("segment_purges")
    .select<Row[]>(COLUMNS)
    .whereIn("telling", [EXITS, ALL])
    .whereIn("shard", [...shards])
    .orderBy(["organization_id", "shard", "segment_id"])
    .limit(limit);
  if (told.length > 0) return told.map(fromRow);
  const rows = await db("segment_purges")
    .select<Row[]>(COLUMNS)
    .whereIn("shard", [...shards])
    .orderBy(["organization_id", "shard", "segment_id"])
    .limit(limit);
  return rows.map(fromRow);
}

/** Those of an organisation's shard that are told. */
export async function listTellings(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
): Promise<(Purge & { readonly telling: Telling })[]> {
  const rows = await db("segment_purges")
    .select<Row[]>(COLUMNS)
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .andWhere("telling", ">", NOTHING);
  return rows.map(fromRow).flatMap(({ telling, ...purge }) => (telling ? [{ ...purge, telling }] : []));
}

/** Of what one evaluation left, by shard. */
export async function listPurgesOf(
  db: Queryable,
  organizationId: OrganizationId,
  segmentId: SegmentId,
): Promise<Purge[]> {
  const rows = await db("segment_purges")
    .select<Row[]>(COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("shard", [...ALL_SHARDS])
    .andWhere("segment_id", uuidToBytes(segmentId));
  return rows.map(fromRow);
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

function fromRow(row: Row): Purge {
  return {
    organizationId: bytesToUuid(row.organization_id),
    segmentId: bytesToUuid(row.segment_id),
    shard: row.shard,
    afterProfileId: bytesToUuid(row.after_profile_id),
    telling:
      row.heir_id === null
        ? undefined
        : { heirId: bytesToUuid(row.heir_id), tellsEntries: row.telling === ALL },
  };
}
