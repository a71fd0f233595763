// Contains every statement against `organizations`.
import { bytesToUuid, chunksOf, type OrganizationId, uuidToBytes } from "@muster/core";
import { forUpdate, IN_LIST_VALUES_MAX, type Queryable, type Transaction } from "@muster/db";
import { type Organization, TIME_ZONE_DEFAULT } from "./organization.ts";

interface Row {
  readonly id: Buffer;
  readonly name: Buffer;
  readonly create_time_ms: number;
  /** Null is the default. */
  readonly time_zone: Buffer | null;
  readonly require_two_factor: number;
  readonly member_count: number;
  readonly version: number;
  /** Null is the time of the creation. */
  readonly update_time_ms: number | null;
  readonly delete_time_ms: number | null;
}

const COLUMNS = [
  "id",
  "name",
  "create_time_ms",
  "time_zone",
  "require_two_factor",
  "member_count",
  "version",
  "update_time_ms",
  "delete_time_ms",
] as const;

/** Rejects with a unique violation when the id is there. */
export async function insertOrganization(trx: Transaction, organization: Organization): Promise<void> {
  await trx("organizations").insert({
    id: uuidToBytes(organization.id),
    create_time_ms: organization.createTimeMs,
    ...changeableColumns(organization),
  });
}

export async function saveOrganization(trx: Transaction, organization: Organization): Promise<void> {
  await trx("organizations")
    .where("id", uuidToBytes(organization.id))
    .update(changeableColumns(organization));
}

export async function findOrganization(
  queryable: Queryable,
  id: OrganizationId,
): Promise<Organization | undefined> {
  const rows = await queryable("organizations").select<Row[]>(COLUMNS).where("id", uuidToBytes(id));
  return rows.map(fromRow)[0];
}

/** The organizations with these ids, in no order. */
export async function findOrganizations(
  queryable: Queryable,
  ids: readonly OrganizationId[],
): Promise<Organization[]> {
  const found: Organization[] = [];
  for (const chunk of chunksOf(ids, IN_LIST_VALUES_MAX)) {
    const query = queryable("organizations").select<Row[]>(COLUMNS).whereIn("id", chunk.map(uuidToBytes));
    found.push(...(await query).map(fromRow));
  }
  return found;
}

/** Locked until the transaction ends. */
export async function lockOrganization(
  trx: Transaction,
  id: OrganizationId,
): Promise<Organization | undefined> {
  const query = trx("organizations").select<Row[]>(COLUMNS).where("id", uuidToBytes(id));
  return (await forUpdate(trx, query)).map(fromRow)[0];
}

/** Organizations whose deletion has taken effect by now, in the order of these times. */
export async function listDeletedOrganizations(
  queryable: Queryable,
  nowMs: number,
  limit: number,
): Promise<OrganizationId[]> {
  const rows = await queryable("organizations")
    .select<Pick<Row, "id">[]>("id")
    .where("delete_time_ms", "<=", nowMs)
    .orderBy(["delete_time_ms", "id"])
    .limit(limit);
  return rows.map(({ id }) => bytesToUuid(id));
}

export async function deleteOrganizationRow(trx: Transaction, id: OrganizationId): Promise<void> {
  await trx("organizations").where("id", uuidToBytes(id)).delete();
}

function changeableColumns(organization: Organization) {
  const { name, timeZone, requiresTwoFactor, version, updateTimeMs, deleteTimeMs } = organization;
  return {
    name: Buffer.from(name, "utf8"),
    time_zone: Buffer.from(timeZone, "utf8"),
    require_two_factor: requiresTwoFactor ? 1 : 0,
    version,
    update_time_ms: updateTimeMs,
    delete_time_ms: deleteTimeMs ?? null,
  };
}

function fromRow(row: Row): Organization {
  return {
    id: bytesToUuid(row.id),
    name: row.name.toString("utf8"),
    createTimeMs: row.create_time_ms,
    timeZone: row.time_zone?.toString("utf8") ?? TIME_ZONE_DEFAULT,
    requiresTwoFactor: row.require_two_factor !== 0,
    memberCount: Number(row.member_count),
    version: Number(row.version),
    updateTimeMs: row.update_time_ms ?? row.create_time_ms,
    deleteTimeMs: row.delete_time_ms ?? undefined,
  };
}
