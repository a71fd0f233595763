// Creates the tables of organizations, their API keys, and the idempotency ledger.
import { bytes, id16, insertRows, instant, integer, json, nullable, type Schema, tiny } from "@muster/db";
import { createIdempotencySubjectsTable, createIdempotencyTable } from "@muster/idempotency";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("organizations", {
    columns: {
      id: id16(),
      name: bytes(255),
      create_time_ms: instant(),
      // IANA name of the time zone of calendar days; null is UTC.
      time_zone: nullable(bytes(64)),
    },
    primaryKey: ["id"],
  });
  await schema.createTable("api_keys", {
    columns: {
      id: id16(),
      organization_id: id16(),
      name: bytes(255),
      // The first characters of the key, for lists.
      prefix: bytes(32),
      // SHA-256 of the key.
      key_hash: bytes(32),
      scopes: json(),
      create_time_ms: instant(),
      expire_time_ms: nullable(instant()),
    },
    primaryKey: ["id"],
    unique: { api_keys_hash_uq: ["key_hash"] },
    indexes: { api_keys_organization_ix: ["organization_id", "create_time_ms", "id"] },
  });
  await createRevocationCount(schema);
  await createIdempotencyTable(schema);
  await createIdempotencySubjectsTable(schema);
}

async function createRevocationCount(schema: Schema): Promise<void> {
  // A single row, with the id 0.
  await schema.createTable("revocation_count", {
    columns: { id: tiny(), revocations: integer() },
    primaryKey: ["id"],
  });
  await insertRows(schema.trx, "revocation_count", ["id", "revocations"], [[0, 0]], "keep", ["id"]);
}
