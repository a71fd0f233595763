// Creates the tables of operations and of exports of personal data.
import { blob, bytes, id16, instant, integer, nullable, type Schema, tiny } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await createOperations(schema);
  await createExports(schema);
}

async function createOperations(schema: Schema): Promise<void> {
  await schema.createTable("operations", {
    columns: {
      id: id16(),
      // Null for operations about an account.
      organization_id: nullable(id16()),
      kind: bytes(64),
      requester_kind: bytes(16),
      requester_id: bytes(64),
      // Callers of the organization who hold the permission may read the operation.
      permission: nullable(bytes(64)),
      // 0 pending, 1 running, 2 succeeded, 3 failed.
      state: tiny(),
      // Percent.
      progress: tiny(),
      // JSON, sealed; empty once the operation has ended.
      input: blob(),
      // JSON, sealed; null until the operation has succeeded.
      result: nullable(blob()),
      // A reason of the error list; null unless the operation has failed.
      failure: nullable(bytes(64)),
      // Grows with every lease; writes of an earlier lease are refused.
      fencing_token: integer(),
      // Attempts that have failed.
      failures: integer(),
      create_time_ms: instant(),
      // The time of the next attempt, or the end of the lease; null once the operation has ended.
      due_time_ms: nullable(instant()),
      // Set when the operation ends.
      expire_time_ms: nullable(instant()),
    },
    primaryKey: ["id"],
    indexes: {
      operations_due_ix: ["due_time_ms", "id"],
      operations_expire_ix: ["expire_time_ms"],
      operations_organization_ix: ["organization_id", "id"],
      operations_requester_ix: ["requester_id", "id"],
    },
  });
}

async function createExports(schema: Schema): Promise<void> {
  await schema.createTable("exports", {
    columns: {
      // The id of the operation.
      id: id16(),
      organization_id: id16(),
      // The person of the export.
      user_id: id16(),
      requester_kind: bytes(16),
      requester_id: bytes(64),
      // SHA-256 of the token of the download; null until the export is ready.
      token_hash: nullable(bytes(32)),
      // Bytes of the ZIP.
      size: nullable(integer()),
      // SHA-256 of the ZIP.
      digest: nullable(bytes(32)),
      // The first download.
      claim_time_ms: nullable(instant()),
      // When the chunks are deleted: 7 days after the export was ready, or 15 minutes after the download; null before.
      data_end_time_ms: nullable(instant()),
      create_time_ms: instant(),
      // When the row is deleted; null until the export is ready.
      expire_time_ms: nullable(instant()),
    },
    primaryKey: ["id"],
    unique: { exports_token_uq: ["token_hash"] },
    indexes: {
      exports_user_ix: ["user_id", "organization_id"],
      exports_data_end_ix: ["data_end_time_ms"],
      exports_expire_ix: ["expire_time_ms"],
    },
  });
  await schema.createTable("export_chunks", {
    // The next 256 KiB of the ZIP, sealed.
    columns: { export_id: id16(), number: integer(), payload: blob() },
    primaryKey: ["export_id", "number"],
  });
}
