// Creates the tables of erasures: receipts, remaining tasks, and the hashes that detect re-sent events.
import { SHARD_COUNT } from "@muster/core";
import { bool, bytes, id16, insertRows, instant, integer, nullable, type Schema, tiny } from "@muster/db";
import { createIdempotencySubjectsTable } from "@muster/idempotency";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("erasures", {
    columns: {
      organization_id: id16(),
      // UUIDv7, which orders lists of receipts.
      erasure_id: id16(),
      create_ms: instant(),
      complete_ms: nullable(instant()),
    },
    primaryKey: ["organization_id", "erasure_id"],
  });
  await schema.createTable("erasure_counts", {
    columns: {
      organization_id: id16(),
      erasure_id: id16(),
      profile_id: id16(),
      location: bytes(64),
      entries: integer(),
    },
    primaryKey: ["organization_id", "erasure_id", "profile_id", "location"],
  });
  // One row for each profile of an erased person, until this service has removed all data and the consumers
  // of the shard have reported. A merge target also has a row, because messages of that shard can mention the
  // person.
  await schema.createTable("erasure_tasks", {
    columns: {
      shard: tiny(),
      erasure_id: id16(),
      profile_id: id16(),
      organization_id: id16(),
      is_merge_target: bool(),
      // The shard published no message about the person after this position.
      position: integer(),
      stage: tiny(),
      is_reported: bool(),
      // The lease of the worker ends at this instant.
      lease_until_ms: instant(),
    },
    primaryKey: ["shard", "erasure_id", "profile_id"],
    indexes: {
      erasure_tasks_by_stage: ["shard", "stage", "lease_until_ms"],
      erasure_tasks_by_erasure: ["organization_id", "erasure_id"],
    },
  });
  await schema.createTable("erased_events", {
    // A keyed hash of the id, so that the table does not reveal which events existed.
    columns: { organization_id: id16(), event_hash: id16() },
    primaryKey: ["organization_id", "event_hash"],
  });
  // Organizations with erased events; other organizations need no lookup.
  await schema.createTable("organizations_with_erasures", {
    columns: { organization_id: id16() },
    primaryKey: ["organization_id"],
  });
  // One row besides the shards: the version changes with every erased event of any shard.
  await insertRows(
    schema.trx,
    "shard_identity_versions",
    ["shard", "identity_version"],
    [[SHARD_COUNT, 0]],
    "keep",
    ["shard"],
  );
  await createIdempotencySubjectsTable(schema);
}
