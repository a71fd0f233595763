// Contains every statement against `exports`.
import { bytesToUuid, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { forUpdate, type Queryable, type Transaction } from "@muster/db";
import type { Requester } from "../operations/operation.ts";
import type { NewExport, ReadyExport } from "./export.ts";

const TABLE = "exports";
const COLUMNS = [
  "id",
  "organization_id",
  "user_id",
  "requester_kind",
  "requester_id",
  "size",
  "digest",
  "claim_time_ms",
  "data_end_time_ms",
  "create_time_ms",
] as const;

interface Row {
  readonly id: Buffer;
  readonly organization_id: Buffer;
  readonly user_id: Buffer;
  readonly requester_kind: Buffer;
  readonly requester_id: Buffer;
  readonly size: number | null;
  readonly digest: Buffer | null;
  readonly claim_time_ms: number | null;
  readonly data_end_time_ms: number | null;
  readonly create_time_ms: number;
}

export async function insertExport(trx: Transaction, made: NewExport): Promise<void> {
  await trx(TABLE).insert({
    id: uuidToBytes(made.id),
    organization_id: uuidToBytes(made.organizationId),
    user_id: uuidToBytes(made.userId),
    requester_kind: Buffer.from(made.requester.kind),
    requester_id: Buffer.from(made.requester.id),
    create_time_ms: made.createTimeMs,
  });
}

/** The exports that the organization has of the person, up to `limit`. */
export async function countExports(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
  limit: number,
): Promise<number> {
  const query = trx(TABLE)
    .select("id")
    .where({ user_id: uuidToBytes(userId), organization_id: uuidToBytes(organizationId) })
    .limit(limit);
  return (await forUpdate(trx, query)).length;
}

/** Locks an export until the transaction ends; false when it was deleted. */
export async function lockExport(trx: Transaction, id: string): Promise<boolean> {
  const query = trx(TABLE).select("id").where("id", uuidToBytes(id));
  return (await forUpdate(trx, query)).length === 1;
}

export async function setExportReady(
  trx: Transaction,
  id: string,
  ready: {
    readonly tokenHash: Buffer;
    readonly size: number;
    readonly digest: Buffer;
    readonly endTimeMs: number;
  },
): Promise<void> {
  await trx(TABLE).where("id", uuidToBytes(id)).update({
    token_hash: ready.tokenHash,
    size: ready.size,
    digest: ready.digest,
    data_end_time_ms: ready.endTimeMs,
    expire_time_ms: ready.endTimeMs,
  });
}

/** The export that is ready under the token. */
export async function findReadyExport(
  queryable: Queryable,
  tokenHash: Buffer,
  nowMs: number,
): Promise<ReadyExport | undefined> {
  const rows = await queryable(TABLE)
    .select<Row[]>(COLUMNS)
    .where("token_hash", tokenHash)
    .andWhere("expire_time_ms", ">", nowMs);
  return rows.map(fromRow)[0];
}

/** Of several concurrent downloads exactly one claims the export. */
export async function claimExport(
  trx: Transaction,
  id: string,
  { nowMs, dataEndTimeMs }: { readonly nowMs: number; readonly dataEndTimeMs: number },
): Promise<boolean> {
  const claimed = await trx(TABLE)
    .where("id", uuidToBytes(id))
    .whereNull("claim_time_ms")
    .andWhere("data_end_time_ms", ">", nowMs)
    .update({ claim_time_ms: nowMs, data_end_time_ms: dataEndTimeMs });
  return claimed === 1;
}

/** Keeps the chunks of a transfer that takes long. */
export async function extendExport(trx: Transaction, id: string, dataEndTimeMs: number): Promise<void> {
  await trx(TABLE)
    .where("id", uuidToBytes(id))
    .andWhere("data_end_time_ms", "<", dataEndTimeMs)
    .update({ data_end_time_ms: dataEndTimeMs });
}

/** Ids of exports whose chunks are to be deleted, at most `limit`. */
export function listEndedExports(queryable: Queryable, nowMs: number, limit: number): Promise<string[]> {
  return idsOf(
    queryable(TABLE).where("data_end_time_ms", "<=", nowMs).orderBy("data_end_time_ms").limit(limit),
  );
}

/** The chunks of the export were deleted. */
export async function setExportDataDeleted(trx: Transaction, id: string): Promise<void> {
  await trx(TABLE).where("id", uuidToBytes(id)).update({ data_end_time_ms: null });
}

/** Deletes at most `limit` rows whose chunks were deleted and whose time is over; returns how many. */
export async function deleteExpiredExports(trx: Transaction, nowMs: number, limit: number): Promise<number> {
  const ids = await trx(TABLE)
    .where("expire_time_ms", "<=", nowMs)
    .whereNull("data_end_time_ms")
    .orderBy("expire_time_ms")
    .limit(limit)
    .pluck<Buffer[]>("id");
  if (ids.length > 0) await trx(TABLE).whereIn("id", ids.sort(Buffer.compare)).delete();
  return ids.length;
}

export async function deleteExport(trx: Transaction, id: string): Promise<void> {
  await trx(TABLE).where("id", uuidToBytes(id)).delete();
}

async function idsOf(query: ReturnType<Queryable>): Promise<string[]> {
  return (await query.pluck<Buffer[]>("id")).map((id) => bytesToUuid(id));
}

function fromRow(row: Row): ReadyExport {
  return {
    id: bytesToUuid(row.id),
    organizationId: bytesToUuid(row.organization_id),
    userId: bytesToUuid(row.user_id),
    requester: {
      kind: row.requester_kind.toString("utf8") as Requester["kind"],
      id: row.requester_id.toString("utf8"),
    },
    size: Number(row.size ?? 0),
    digest: row.digest ?? Buffer.alloc(0),
    claimTimeMs: row.claim_time_ms ?? undefined,
    dataEndTimeMs: row.data_end_time_ms ?? undefined,
    createTimeMs: row.create_time_ms,
  };
}
