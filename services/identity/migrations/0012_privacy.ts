// Creates the table of operations: work that continues after the response of a call.
import { blob, bytes, id16, instant, integer, nullable, type Schema, tiny } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
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
