// Creates the table of deletion requests, which are the receipts of erasures too.
import { blob, bytes, id16, instant, nullable, type Schema, tiny } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("deletion_requests", {
    columns: {
      // The id of the operation too.
      id: id16(),
      organization_id: id16(),
      // The person whose data is to be erased.
      user_id: id16(),
      // 0 pending, 1 approved, 2 rejected.
      state: tiny(),
      requester_kind: bytes(16),
      requester_id: bytes(64),
      // The requesting user, or the user who made the requesting key; null for a key that no user made.
      requester_user_id: nullable(id16()),
      decider_id: nullable(bytes(64)),
      create_time_ms: instant(),
      decide_time_ms: nullable(instant()),
      complete_time_ms: nullable(instant()),
      // JSON: how many rows were erased, by location; null until the erasure is complete.
      counts: nullable(blob()),
    },
    primaryKey: ["id"],
    indexes: {
      deletion_requests_list_ix: ["organization_id", "create_time_ms", "id"],
      deletion_requests_user_ix: ["organization_id", "user_id", "state"],
    },
  });
}
