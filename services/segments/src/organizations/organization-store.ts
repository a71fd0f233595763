// Holds every statement against `organizations`: versions, limits and the lock of an organization.
import { AssertionError, bytesToUuid, chunksOf, type OrganizationId, uuidToBytes } from "@muster/core";
import { forUpdate, IN_LIST_VALUES_MAX, insertRows, type Queryable, type Transaction } from "@muster/db";

export interface LockedOrganization {
  /** Whether the default segment has been created; it may have been deleted since. */
  readonly isProvisioned: boolean;
  readonly definitionsVersion: number;
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

/** Returns the definitions version of each existing organization. */
export async function readVersions(
  db: Queryable,
  organizationIds: readonly OrganizationId[],
): Promise<Map<OrganizationId, number>> {
  const versions = new Map<OrganizationId, number>();
  for (const ids of chunksOf(organizationIds, IN_LIST_VALUES_MAX)) {
    const rows: Pick<Row, "organization_id" | "definitions_version">[] = await db("organizations")
      .select("organization_id", "definitions_version")
      .whereIn("organization_id", ids.map(uuidToBytes))
      .andWhere("has_default", 1);
    for (const row of rows) versions.set(bytesToUuid(row.organization_id), row.definitions_version);
  }
  return versions;
}

/** Inserts the row of an organization without segments, unless it exists already. */
export async function insertOrganizationOnce(
  trx: Transaction,
  organizationId: OrganizationId,
): Promise<void> {
  const row = [uuidToBytes(organizationId), 0, 0, 0];
  await insertRows(trx, "organizations", COLUMNS, [row], "keep", ["organization_id"]);
}

/** Saves that so many default segments exist, and returns the new definitions version. The caller holds the lock. */
export async function markProvisioned(
  trx: Transaction,
  organizationId: OrganizationId,
  { definitionsVersion, segmentCount }: LockedOrganization,
  added: number,
): Promise<number> {
  const version = definitionsVersion + 1;
  await trx("organizations")
    .where("organization_id", uuidToBytes(organizationId))
    .update({ definitions_version: version, segment_count: segmentCount + added, has_default: 1 });
  return version;
}

/** Locks the organization's segments against other writers until the transaction ends. */
export async function lockOrganization(
  trx: Transaction,
  organizationId: OrganizationId,
): Promise<LockedOrganization> {
  const query = trx("organizations")
    .select<Row[]>(...COLUMNS, "raw_event_days")
    .where("organization_id", uuidToBytes(organizationId));
  const [row] = await forUpdate(trx, query);
  if (row === undefined) throw new AssertionError("an organization is provisioned before it is locked");
  return {
    isProvisioned: row.has_default === 1,
    definitionsVersion: row.definitions_version,
    segmentCount: row.segment_count,
    rawEventDays: row.raw_event_days,
  };
}

/** Leaves the row of an organization that was closed, as provisioned and without segments. */
export async function emptyOrganization(trx: Transaction, organizationId: OrganizationId): Promise<void> {
  await insertOrganizationOnce(trx, organizationId);
  const { definitionsVersion } = await lockOrganization(trx, organizationId);
  await trx("organizations")
    .where("organization_id", uuidToBytes(organizationId))
    .update({
      definitions_version: definitionsVersion + 1,
      segment_count: 0,
      has_default: 1,
      raw_event_days: 0,
    });
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
  { segmentCount }: LockedOrganization,
  by: 1 | -1,
): Promise<void> {
  await trx("organizations")
    .where("organization_id", uuidToBytes(organizationId))
    .update({ segment_count: segmentCount + by });
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
