// A segment's changed rule is evaluated beside the one that serves, under an id of its own, until it takes over.
import { id16, integer, json, nullable, type Schema, withDefault } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // Under this id memberships, counts and backfills are kept. Of a segment's first rule it is the segment's own.
  await schema.addColumn("segments", "evaluation_id", nullable(id16()));
  await schema.addIndex("segments", "segments_evaluation", ["organization_id", "evaluation_id"]);
  await schema.addColumn("segments", "pending_id", nullable(id16()));
  await schema.addColumn("segments", "pending_rule", nullable(json()));
  await schema.addColumn("segments", "pending_version", nullable(integer()));
  await schema
    .trx("segments")
    .whereNull("evaluation_id")
    .update({ evaluation_id: schema.trx.ref("segment_id") });
  // How many rows of profiles that left may stand between those of the members.
  await schema.addColumn("segment_counts", "exits", withDefault(integer(), 0));
  await schema.addIndex("segment_counts", "segment_counts_exits", ["shard", "exits"]);
}
