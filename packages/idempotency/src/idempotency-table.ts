// Creates the tables of the idempotency ledger, for the migrations of every service that has a ledger.
import { IDEMPOTENCY_KEY_BYTES_MAX } from "@muster/core";
import { blob, bytes, id16, instant, nullable, type Schema } from "@muster/db";

export const SCOPE_BYTES_MAX = 255;

export async function createIdempotencyTable(schema: Schema): Promise<void> {
  await schema.createTable("idempotency_keys", {
    columns: {
      scope: bytes(SCOPE_BYTES_MAX),
      idempotency_key: bytes(IDEMPOTENCY_KEY_BYTES_MAX),
      token: id16(),
      fingerprint: bytes(32),
      lease_until_ms: instant(),
      expire_time_ms: instant(),
      response: nullable(blob()),
    },
    primaryKey: ["scope", "idempotency_key"],
    indexes: { idempotency_keys_expire_ix: ["expire_time_ms"] },
  });
}

/**
 * Creates the table of the profiles that kept responses are about, by which an erasure finds responses. Safe
 * to run again.
 */
export async function createIdempotencySubjectsTable(schema: Schema): Promise<void> {
  await schema.createTable("idempotency_subjects", {
    columns: {
      subject: id16(),
      token: id16(),
      scope: bytes(SCOPE_BYTES_MAX),
      idempotency_key: bytes(IDEMPOTENCY_KEY_BYTES_MAX),
      expire_time_ms: instant(),
    },
    primaryKey: ["subject", "token"],
    indexes: { idempotency_subjects_expire_ix: ["expire_time_ms"] },
  });
}
