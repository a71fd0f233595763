// Adds rebuild reasons, rule switches and erasures.
import { id16, instant, integer, json, nullable, type Schema, tiny, withDefault } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // Why the profile is rebuilt: see RebuildReason.
  await schema.addColumn("profile_rebuilds", "reason", withDefault(tiny(), 0));
  // The replaced evaluation, until all differences are published.
  await schema.addColumn("segments", "previous_evaluation_id", nullable(id16()));
  // For a replaced evaluation: its successor, and which differences are published: see Telling.
  await schema.addColumn("segment_purges", "successor_id", nullable(id16()));
  await schema.addColumn("segment_purges", "published_changes", withDefault(tiny(), 0));
  await schema.addIndex("segment_purges", "segment_purges_rule_switch", ["published_changes", "shard"]);
  // Erasures that are unfinished here or not acknowledged by the events service.
  await schema.createTable("erasure_reports", {
    columns: {
      shard: tiny(),
      organization_id: id16(),
      erasure_id: id16(),
      profile_id: id16(),
      // Outbox messages of the shard up to this position may contain the profile.
      through_position: integer(),
      // Removed rows so far, by location.
      locations: json(),
      requested_ms: instant(),
    },
    primaryKey: ["shard", "organization_id", "erasure_id", "profile_id"],
  });
}
