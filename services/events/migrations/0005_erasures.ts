// Erasures: their receipts, what is still to be done of them, and by which erased events are recognised.
import { SHARD_COUNT } from "@muster/core";
import { bool, bytes, id16, insertRows, instant, integer, nullable, type Schema, tiny } from "@muster/db";
import { createIdempotencySubjectsTable } from "@muster/idempotency";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("erasures", {
    columns: {
      organization_id: id16(),
      // UUIDv7: receipts are listed by it.
      erasure_id: id16(),
      create_ms: instant(),
      complete_ms: nullable(instant()),
    },
    primaryKey: ["organization_id", "erasure_id"],
  });
  await schema.createTable("erasure_places", {
    columns: {
      organization_id: id16(),
      erasure_id: id16(),
      profile_id: id16(),
      place: bytes(64),
      entries: integer(),
    },
    primaryKey: ["organization_id", "erasure_id", "profile_id", "place"],
  });
  // One for each profile of an erased person until all that this service wrote about it is gone, and whoever
  // follows its shard has said the same. Besides one for each profile that stood for them in the past: what its
  // shard announced meanwhile may speak of them.
  await schema.createTable("erasure_tasks", {
    columns: {
      shard: tiny(),
      erasure_id: id16(),
      profile_id: id16(),
      organization_id: id16(),
      is_former_root: bool(),
      // The shard has announced nothing of the person after it.
      position: integer(),
      stage: tiny(),
      is_reported: bool(),
      // Whoever works on it has it until then.
      lease_until_ms: instant(),
    },
    primaryKey: ["shard", "erasure_id", "profile_id"],
    indexes: {
      erasure_tasks_by_stage: ["shard", "stage", "lease_until_ms"],
      erasure_tasks_by_erasure: ["organization_id", "erasure_id"],
    },
  });
  await schema.createTable("erased_events", {
    // A keyed hash of the id, so that nobody who reads the table learns whether somebody's event was there.
    columns: { organization_id: id16(), event_hash: id16() },
    primaryKey: ["organization_id", "event_hash"],
  });
  // Organisations with erased events: the others need not ask.
  await schema.createTable("erasing_organizations", {
    columns: { organization_id: id16() },
    primaryKey: ["organization_id"],
  });
  // Beside the shards' own epochs one that grows with every event that is erased, in whichever shard.
  await insertRows(schema.trx, "shard_epochs", ["shard", "epoch"], [[SHARD_COUNT, 0]], "keep", ["shard"]);
  await createIdempotencySubjectsTable(schema);
}
