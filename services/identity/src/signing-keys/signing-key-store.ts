// Contains every statement against `signing_keys`.
import { bytesToUuid, type SigningKeyId, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import type { SigningKey } from "./signing-key.ts";

const COLUMNS = [
  "id",
  "generation",
  "public_x",
  "public_y",
  "sealed_private_key",
  "create_time_ms",
  "sign_time_ms",
  "end_time_ms",
] as const;

/** Keys that are read at once, newest first: many more than rotations leave behind. */
const KEYS_MAX = 100;

interface Row {
  readonly id: Buffer;
  readonly generation: number;
  readonly public_x: Buffer;
  readonly public_y: Buffer;
  readonly sealed_private_key: Buffer;
  readonly create_time_ms: number;
  readonly sign_time_ms: number;
  readonly end_time_ms: number | null;
}

/** Rejects with a unique violation of `signing_keys_generation_uq` when another key has the generation. */
export async function insertSigningKey(trx: Transaction, key: SigningKey): Promise<void> {
  await trx("signing_keys").insert({
    id: uuidToBytes(key.id),
    generation: key.generation,
    public_x: key.x,
    public_y: key.y,
    sealed_private_key: key.sealedPrivateKey,
    create_time_ms: key.createTimeMs,
    sign_time_ms: key.signTimeMs,
    end_time_ms: key.endTimeMs ?? null,
  });
}

/** Newest first, ended keys included. */
export async function listSigningKeys(queryable: Queryable): Promise<SigningKey[]> {
  const rows = await queryable("signing_keys")
    .select<Row[]>(COLUMNS)
    .orderBy("generation", "desc")
    .limit(KEYS_MAX);
  return rows.map(fromRow);
}

export async function findSigningKey(
  queryable: Queryable,
  id: SigningKeyId,
): Promise<SigningKey | undefined> {
  const rows = await queryable("signing_keys").select<Row[]>(COLUMNS).where("id", uuidToBytes(id));
  return rows.map(fromRow)[0];
}

export async function setSigningKeyEnd(trx: Transaction, id: SigningKeyId, endTimeMs: number): Promise<void> {
  await trx("signing_keys").where("id", uuidToBytes(id)).update({ end_time_ms: endTimeMs });
}

/** False when there is no such key. */
export async function deleteSigningKey(trx: Transaction, id: SigningKeyId): Promise<boolean> {
  return (await trx("signing_keys").where("id", uuidToBytes(id)).delete()) === 1;
}

function fromRow(row: Row): SigningKey {
  return {
    id: bytesToUuid(row.id),
    generation: Number(row.generation),
    x: row.public_x,
    y: row.public_y,
    sealedPrivateKey: row.sealed_private_key,
    createTimeMs: row.create_time_ms,
    signTimeMs: row.sign_time_ms,
    endTimeMs: row.end_time_ms ?? undefined,
  };
}
