// Contains every statement against `export_chunks`: the sealed parts of the ZIP of an export.
import { openSealed, rowKey, sealBytes, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";

const TABLE = "export_chunks";
/** Chunks that one statement deletes. */
const DELETED_CHUNKS = 40;

export interface Chunk {
  readonly exportId: string;
  readonly number: number;
}

/** `key` is the key of the service for exports. */
export async function insertChunk(
  trx: Transaction,
  key: Uint8Array,
  chunk: Chunk,
  bytes: Uint8Array,
): Promise<void> {
  const payload = sealBytes(rowKey(key, chunk.exportId), [bytes], boundTo(chunk));
  await trx(TABLE).insert({ ...keyOf(chunk), payload });
}

/** Undefined when the chunks were deleted. */
export async function readChunk(
  queryable: Queryable,
  key: Uint8Array,
  chunk: Chunk,
): Promise<Buffer | undefined> {
  const [payload] = await queryable(TABLE).where(keyOf(chunk)).pluck<Buffer[]>("payload");
  return payload && openSealed(rowKey(key, chunk.exportId), payload, boundTo(chunk));
}

/** Deletes some chunks of an export; false when no chunk is left. */
export async function deleteSomeChunks(trx: Transaction, exportId: string): Promise<boolean> {
  const export_id = uuidToBytes(exportId);
  const numbers = await trx(TABLE)
    .where({ export_id })
    .orderBy("number")
    .limit(DELETED_CHUNKS)
    .pluck<number[]>("number");
  if (numbers.length > 0) await trx(TABLE).where({ export_id }).whereIn("number", numbers).delete();
  return numbers.length === DELETED_CHUNKS;
}

function keyOf({ exportId, number }: Chunk) {
  return { export_id: uuidToBytes(exportId), number };
}

function boundTo({ exportId, number }: Chunk): string {
  return `${exportId}/${number}`;
}
