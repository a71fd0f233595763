// One person from several profiles: which one stands for them, and who decided so.
import { SHARD_COUNT } from "@muster/core";
import { bytes, id16, insertRows, instant, integer, json, nullable, type Schema, tiny } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // The profile it was merged into, and the one that stands for the person by now. Null: it does so itself.
  await schema.addColumn("profiles", "parent_id", nullable(id16()));
  await schema.addColumn("profiles", "root_id", nullable(id16()));
  await schema.addColumn("profiles", "merged_ms", nullable(instant()));
  // Fields that an update cleared, each with the merge up to which no merged profile fills it.
  await schema.addColumn("profiles", "settled", nullable(json()));
  // Those of a person; and, under the null of roots, the people of a shard.
  await schema.addIndex("profiles", "profiles_by_root", [
    "organization_id",
    "root_id",
    "shard",
    "profile_id",
  ]);
  await schema.dropIndex("profiles", "profiles_by_shard");
  // So that ingest learns both with one look.
  await schema.addColumn("profile_identities", "root_id", nullable(id16()));
  await schema.createTable("profile_merges", {
    columns: {
      organization_id: id16(),
      profile_id: id16(),
      merge_id: id16(),
      into_profile_id: id16(),
      actor: bytes(255),
      merged_ms: instant(),
      undone_actor: nullable(bytes(255)),
      undone_ms: nullable(instant()),
    },
    primaryKey: ["organization_id", "profile_id", "merge_id"],
    indexes: { profile_merges_by_into: ["organization_id", "into_profile_id", "profile_id", "merge_id"] },
  });
  // Grows with whatever changes who is who in a shard.
  await schema.createTable("shard_epochs", {
    columns: { shard: tiny(), epoch: integer() },
    primaryKey: ["shard"],
  });
  const rows = Array.from({ length: SHARD_COUNT }, (_, shard) => [shard, 0]);
  await insertRows(schema.trx, "shard_epochs", ["shard", "epoch"], rows, "keep", ["shard"]);
}
