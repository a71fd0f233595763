// Contains every statement against `api_keys`.
import { type ApiKeyId, bytesToUuid, type OrganizationId, uuidToBytes } from "@muster/core";
import { type OrderColumn, pageAfter, type Queryable, type Transaction } from "@muster/db";
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
    name: Buffer.from(key.name, "utf8"),
    prefix: Buffer.from(key.prefix, "utf8"),
    key_hash: key.hash,
    scopes: JSON.stringify(key.scopes),
    create_time_ms: key.createTimeMs,
    expire_time_ms: key.expireTimeMs ?? null,
  });
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

/** The keys valid at `nowMs`, by (create time, id). */
export async function listApiKeyPage(
  queryable: Queryable,
  organizationId: OrganizationId,
  nowMs: number,
  after: ApiKeyCursor | undefined,
  limit: number,
): Promise<ApiKey[]> {
  const query = queryable("api_keys")
    .select<Row[]>(COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .andWhere((valid) => valid.whereNull("expire_time_ms").orWhere("expire_time_ms", ">", nowMs))
    .limit(limit);
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

/** False when the key was removed, or its end was set before. */
export async function setApiKeyEnd(
  trx: Transaction,
  organizationId: OrganizationId,
  id: ApiKeyId,
  expireTimeMs: number,
): Promise<boolean> {
  const changed = await trx("api_keys")
    .where(ofOrganization(organizationId, id))
    .whereNull("expire_time_ms")
    .update({ expire_time_ms: expireTimeMs });
  return changed === 1;
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
  };
}
