// Adds rule versions: a changed rule is evaluated under its own id until it replaces the serving rule.
import { id16, integer, json, nullable, type Schema, withDefault } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // The id of memberships, counts and backfills. A segment's first rule uses the segment's id.
  await schema.addColumn("segments", "evaluation_id", nullable(id16()));
  await schema.addIndex("segments", "segments_evaluation", ["organization_id", "evaluation_id"]);
  await schema.addColumn("segments", "pending_id", nullable(id16()));
  await schema.addColumn("segments", "pending_rule", nullable(json()));
  await schema.addColumn("segments", "pending_version", nullable(integer()));
  await schema
    .trx("segments")
    .whereNull("evaluation_id")
    .update({ evaluation_id: schema.trx.ref("segment_id") });
  // The number of rows of exited memberships.
  await schema.addColumn("segment_counts", "exits", withDefault(integer(), 0));
  await schema.addIndex("segment_counts", "segment_counts_exits", ["shard", "exits"]);
}
