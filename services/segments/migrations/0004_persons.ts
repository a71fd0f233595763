// Profiles become one person, or two again, or are erased; and who enters and leaves by a changed rule is told
// one by one.
import { id16, instant, integer, json, nullable, type Schema, tiny, withDefault } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // Why the profile is derived anew: see DerivationReason.
  await schema.addColumn("profile_derivations", "reason", withDefault(tiny(), 0));
  // The evaluation that was replaced and whose members have not all been told yet.
  await schema.addColumn("segments", "told_id", nullable(id16()));
  // Of a replaced evaluation: the one that took over, and which differences are told: see Telling.
  await schema.addColumn("segment_purges", "heir_id", nullable(id16()));
  await schema.addColumn("segment_purges", "telling", withDefault(tiny(), 0));
  await schema.addIndex("segment_purges", "segment_purges_telling", ["telling", "shard"]);
  // Erasures that are not yet finished here and acknowledged by the events service.
  await schema.createTable("erasure_reports", {
    columns: {
      shard: tiny(),
      organization_id: id16(),
      erasure_id: id16(),
      profile_id: id16(),
      // Up to here the outbox' messages of the shard may tell of the profile.
      through_position: integer(),
      // What was removed so far, by place.
      places: json(),
      asked_ms: instant(),
    },
    primaryKey: ["shard", "organization_id", "erasure_id", "profile_id"],
  });
}
