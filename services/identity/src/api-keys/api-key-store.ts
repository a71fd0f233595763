// Contains every statement against `api_keys`.
import type { Role } from "@muster/authz";
import { type ApiKeyId, bytesToUuid, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { forUpdate, type OrderColumn, pageAfter, type Queryable, type Transaction } from "@muster/db";
import type { ApiKey } from "./api-key.ts";

const COLUMNS = [
  "id",
  "organization_id",
  "name",
  "prefix",
  "key_hash",
  "scopes",
  "create_time_ms",
  "expire_time_ms",
  "is_rotated",
  "grant_up_to",
  "created_by",
  "last_used_time_ms",
] as const;

const LIST_ORDER: readonly OrderColumn[] = [
  { column: "create_time_ms", direction: "asc" },
  { column: "id", direction: "asc" },
];

interface Row {
  readonly id: Buffer;
  readonly organization_id: Buffer;
  readonly name: Buffer;
  readonly prefix: Buffer;
  readonly key_hash: Buffer;
  readonly scopes: string;
  readonly create_time_ms: number;
  readonly expire_time_ms: number | null;
  readonly is_rotated: number;
  readonly grant_up_to: Buffer | null;
  readonly created_by: Buffer | null;
  readonly last_used_time_ms: number | null;
}

/** Start of a page: the key before it, in the list's order. */
export interface ApiKeyCursor {
  readonly createTimeMs: number;
  readonly id: ApiKeyId;
}

export async function insertApiKey(trx: Transaction, key: ApiKey): Promise<void> {
  await trx("api_keys").insert({
    id: uuidToBytes(key.id),
    organization_id: uuidToBytes(key.organizationId),
    prefix: Buffer.from(key.prefix, "utf8"),
    key_hash: key.hash,
    create_time_ms: key.createTimeMs,
    ...changeableColumns(key),
    is_rotated: key.isRotated ? 1 : 0,
    created_by: key.createdBy === undefined ? null : uuidToBytes(key.createdBy),
    last_used_time_ms: null,
  });
}

/** Saves name, scopes, end and rank of a locked key. */
export async function saveApiKey(trx: Transaction, key: ApiKey): Promise<void> {
  await trx("api_keys").where(ofOrganization(key.organizationId, key.id)).update(changeableColumns(key));
}

function changeableColumns({ name, scopes, expireTimeMs, grantUpTo }: ApiKey) {
  return {
    name: Buffer.from(name, "utf8"),
    scopes: JSON.stringify(scopes),
    expire_time_ms: expireTimeMs ?? null,
    grant_up_to: grantUpTo === undefined ? null : Buffer.from(grantUpTo),
  };
}

/**
 * The key, valid or not; callers compare the time. Keys of a closed organization end with the row of the organization,
 * before their own rows are deleted.
 */
export async function findApiKeyByHash(queryable: Queryable, hash: Uint8Array): Promise<ApiKey | undefined> {
  const row = await queryable("api_keys")
    .select(COLUMNS)
    .where("key_hash", Buffer.from(hash))
    .whereExists(
      queryable("organizations")
        .select("id")
        .where("id", queryable.raw("??", ["api_keys.organization_id"])),
    )
    .first<Row | undefined>();
  return row && fromRow(row);
}

export async function findApiKey(
  queryable: Queryable,
  organizationId: OrganizationId,
  id: ApiKeyId,
): Promise<ApiKey | undefined> {
  const row = await queryable("api_keys")
    .select(COLUMNS)
    .where(ofOrganization(organizationId, id))
    .first<Row | undefined>();
  return row && fromRow(row);
}

/** Maps the ids of stored keys to their organizations, without those of closed organizations. */
export async function findOrganizationsOfKeys(
  queryable: Queryable,
  ids: readonly string[],
): Promise<Map<string, OrganizationId>> {
  const rows = await queryable("api_keys")
    .select<Pick<Row, "id" | "organization_id">[]>("api_keys.id", "organization_id")
    .join("organizations", "organizations.id", "organization_id")
    .whereIn("api_keys.id", ids.map(uuidToBytes));
  return new Map(rows.map((row) => [bytesToUuid(row.id), bytesToUuid(row.organization_id)]));
}

/** Locked until the transaction ends. */
export async function lockApiKey(
  trx: Transaction,
  organizationId: OrganizationId,
  id: ApiKeyId,
): Promise<ApiKey | undefined> {
  const query = trx("api_keys").select<Row[]>(COLUMNS).where(ofOrganization(organizationId, id));
  return (await forUpdate(trx, query)).map(fromRow)[0];
}

export interface ApiKeySelection {
  readonly organizationId: OrganizationId;
  /** Only keys of this maker. */
  readonly createdBy?: UserId | undefined;
  /** Only keys that are valid at this time. */
  readonly nowMs?: number;
}

/** By (create time, id). */
export async function listApiKeyPage(
  queryable: Queryable,
  { organizationId, createdBy, nowMs }: ApiKeySelection,
  after: ApiKeyCursor | undefined,
  limit: number,
): Promise<ApiKey[]> {
  const query = queryable("api_keys")
    .select<Row[]>(COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .limit(limit);
  if (nowMs !== undefined) {
    query.andWhere((valid) => valid.whereNull("expire_time_ms").orWhere("expire_time_ms", ">", nowMs));
  }
  if (createdBy !== undefined) query.andWhere("created_by", uuidToBytes(createdBy));
  pageAfter(query, LIST_ORDER, after && [after.createTimeMs, uuidToBytes(after.id)]);
  return (await query).map(fromRow);
}

/** False when the key was removed before. */
export async function removeApiKey(
  trx: Transaction,
  organizationId: OrganizationId,
  id: ApiKeyId,
): Promise<boolean> {
  return (await trx("api_keys").where(ofOrganization(organizationId, id)).delete()) === 1;
}

/** Marks a locked key as replaced, until the end of the overlap. */
export async function endApiKey(
  trx: Transaction,
  { organizationId, id }: ApiKey,
  endMs: number,
): Promise<void> {
  await trx("api_keys")
    .where(ofOrganization(organizationId, id))
    .update({ expire_time_ms: endMs, is_rotated: 1 });
}

/** Saves the last use, unless a use of the same minute is saved. */
export async function saveApiKeyUse(
  trx: Transaction,
  { organizationId, id }: Pick<ApiKey, "organizationId" | "id">,
  nowMs: number,
  beforeMs: number,
): Promise<void> {
  await trx("api_keys")
    .where(ofOrganization(organizationId, id))
    .andWhere((due) => due.whereNull("last_used_time_ms").orWhere("last_used_time_ms", "<=", beforeMs))
    .update({ last_used_time_ms: nowMs });
}

/** The first keys that a user has made in the organization, locked until the transaction ends. */
export async function lockApiKeysOf(
  trx: Transaction,
  organizationId: OrganizationId,
  createdBy: UserId,
  limit: number,
): Promise<ApiKey[]> {
  const query = trx("api_keys")
    .select<Row[]>(COLUMNS)
    .where({ organization_id: uuidToBytes(organizationId), created_by: uuidToBytes(createdBy) })
    .orderBy([{ column: "create_time_ms" }, { column: "id" }])
    .limit(limit);
  return (await forUpdate(trx, query)).map(fromRow);
}

export async function removeApiKeys(trx: Transaction, ids: readonly ApiKeyId[]): Promise<void> {
  await trx("api_keys").whereIn("id", ids.map(uuidToBytes)).delete();
}

/** The keys stay, but name their maker no more. Without an organization: the keys of all organizations. */
export async function forgetMaker(
  trx: Transaction,
  createdBy: UserId,
  organizationId?: OrganizationId,
): Promise<void> {
  const made = trx("api_keys").where("created_by", uuidToBytes(createdBy));
  if (organizationId !== undefined) made.andWhere("organization_id", uuidToBytes(organizationId));
  await made.update({ created_by: null });
}

/** Rotation leaves ended keys behind; the next rotation removes them. */
export async function removeEndedApiKeys(
  trx: Transaction,
  organizationId: OrganizationId,
  nowMs: number,
): Promise<void> {
  await trx("api_keys")
    .where("organization_id", uuidToBytes(organizationId))
    .andWhere("expire_time_ms", "<=", nowMs)
    .delete();
}

function ofOrganization(organizationId: OrganizationId, id: ApiKeyId) {
  return { id: uuidToBytes(id), organization_id: uuidToBytes(organizationId) };
}

function fromRow(row: Row): ApiKey {
  return {
    id: bytesToUuid(row.id),
    organizationId: bytesToUuid(row.organization_id),
    name: row.name.toString("utf8"),
    prefix: row.prefix.toString("utf8"),
    hash: row.key_hash,
    scopes: JSON.parse(row.scopes) as string[],
    createTimeMs: row.create_time_ms,
    expireTimeMs: row.expire_time_ms ?? undefined,
    isRotated: row.is_rotated === 1,
    grantUpTo: (row.grant_up_to?.toString("utf8") as Role | undefined) ?? undefined,
    createdBy: row.created_by === null ? undefined : bytesToUuid(row.created_by),
    lastUsedTimeMs: row.last_used_time_ms ?? undefined,
  };
}
