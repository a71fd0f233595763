// Holds every statement against `organizations`: versions, limits, creation and the lock of an organization.
import { AssertionError, bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import { type Database, forUpdate, insertRows, type Queryable, type Transaction } from "@muster/db";
import { addBackfills, lockIncompleteShards, readIncompleteShards } from "../rebuild/backfill-store.ts";
import { defaultSegment } from "../segment-model/segment.ts";
import { insertSegmentOnce } from "../segment-model/segment-store.ts";

export interface LockedOrganization {
  readonly segmentCount: number;
  /** Days that raw events are kept; 0 means without limit. */
  readonly rawEventDays: number;
}

interface Row {
  organization_id: Buffer;
  definitions_version: number;
  segment_count: number;
  has_default: number;
  raw_event_days: number;
}

const COLUMNS = ["organization_id", "definitions_version", "segment_count", "has_default"] as const;
/** The number of organizations in one statement. */
const CHUNK = 500;

/** Returns the definitions version of each existing organization. */
export async function readVersions(
  db: Queryable,
  organizationIds: readonly OrganizationId[],
): Promise<Map<OrganizationId, number>> {
  const versions = new Map<OrganizationId, number>();
  for (let start = 0; start < organizationIds.length; start += CHUNK) {
    const rows: Pick<Row, "organization_id" | "definitions_version">[] = await db("organizations")
      .select("organization_id", "definitions_version")
      .whereIn("organization_id", organizationIds.slice(start, start + CHUNK).map(uuidToBytes))
      .andWhere("has_default", 1);
    for (const row of rows) versions.set(bytesToUuid(row.organization_id), row.definitions_version);
  }
  return versions;
}

/**
 * Creates an organization with its default segment, on its first read or first event.
 * Invariant: no event of an organization is applied before its row exists. Therefore the default segment
 * needs no backfill, except in shards that lost an unreadable message.
 */
export async function provisionOrganization(
  trx: Transaction,
  organizationId: OrganizationId,
  nowMs: number,
): Promise<number> {
  await lockIncompleteShards(trx);
  const row = [uuidToBytes(organizationId), 0, 0, 0];
  await insertRows(trx, "organizations", COLUMNS, [row], "keep", ["organization_id"]);
  const known = await lockRow(trx, organizationId);
  if (known.has_default === 1) return known.definitions_version;
  const segment = defaultSegment(organizationId, nowMs);
  await insertSegmentOnce(trx, segment);
  await addBackfills(trx, organizationId, segment.id, await readIncompleteShards(trx));
  const definitions_version = known.definitions_version + 1;
  await trx("organizations")
    .where("organization_id", uuidToBytes(organizationId))
    .update({ definitions_version, segment_count: known.segment_count + 1, has_default: 1 });
  return definitions_version;
}

/** Creates the organization before a read, if it does not exist yet. */
export async function ensureOrganization(
  database: Database,
  organizationId: OrganizationId,
  nowMs: number,
): Promise<void> {
  const known = await readVersions(database.reader, [organizationId]);
  if (known.has(organizationId)) return;
  await database.transaction((trx) => provisionOrganization(trx, organizationId, nowMs));
}

/** Locks the organization's segments against other writers until the transaction ends. */
export async function lockOrganization(
  trx: Transaction,
  organizationId: OrganizationId,
): Promise<LockedOrganization> {
  const row = await lockRow(trx, organizationId);
  return { segmentCount: row.segment_count, rawEventDays: row.raw_event_days };
}

/** Returns the days that raw events are kept; 0 means without limit. */
export async function readRawEventDays(db: Queryable, organizationId: OrganizationId): Promise<number> {
  const row = await db("organizations")
    .where("organization_id", uuidToBytes(organizationId))
    .first<Pick<Row, "raw_event_days"> | undefined>("raw_event_days");
  return row?.raw_event_days ?? 0;
}

/** The caller holds the organization's lock. */
export async function saveRawEventDays(
  trx: Transaction,
  organizationId: OrganizationId,
  rawEventDays: number,
): Promise<void> {
  await trx("organizations")
    .where("organization_id", uuidToBytes(organizationId))
    .update({ raw_event_days: rawEventDays });
}

/**
 * Saves the segment count after a creation (+1) or a deletion (-1). The caller holds the organization's lock.
 */
export async function changeSegmentCount(
  trx: Transaction,
  organizationId: OrganizationId,
  known: LockedOrganization,
  by: 1 | -1,
): Promise<void> {
  await trx("organizations")
    .where("organization_id", uuidToBytes(organizationId))
    .update({ segment_count: known.segmentCount + by });
  await incrementDefinitionsVersion(trx, organizationId);
}

/** Marks the cached definitions as outdated. The caller holds the organization's lock. */
export async function incrementDefinitionsVersion(
  trx: Transaction,
  organizationId: OrganizationId,
): Promise<void> {
  await trx("organizations")
    .where("organization_id", uuidToBytes(organizationId))
    .increment("definitions_version");
}

/** Lists existing organizations by id, after the given one. */
export async function listOrganizationIds(
  db: Queryable,
  afterId: OrganizationId | undefined,
  limit: number,
): Promise<OrganizationId[]> {
  const query = db("organizations")
    .select<Pick<Row, "organization_id">[]>("organization_id")
    .orderBy("organization_id")
    .limit(limit);
  if (afterId !== undefined) query.where("organization_id", ">", uuidToBytes(afterId));
  return (await query).map((row) => bytesToUuid(row.organization_id));
}

async function lockRow(trx: Transaction, organizationId: OrganizationId): Promise<Row> {
  const key = uuidToBytes(organizationId);
  const query = trx("organizations")
    .select<Row[]>(...COLUMNS, "raw_event_days")
    .where("organization_id", key);
  const [row] = await forUpdate(trx, query);
  if (row === undefined) throw new AssertionError("an organization is touched before it is locked");
  return row;
}
