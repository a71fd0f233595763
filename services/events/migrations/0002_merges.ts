// Adds identity links between profiles, and the journal of merges.
import { SHARD_COUNT } from "@muster/core";
import { bytes, id16, insertRows, instant, integer, json, nullable, type Schema, tiny } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // The parent of a merged profile, and the root of its group. Null for a root profile.
  await schema.addColumn("profiles", "parent_id", nullable(id16()));
  await schema.addColumn("profiles", "root_id", nullable(id16()));
  await schema.addColumn("profiles", "merged_ms", nullable(instant()));
  // JSON object: for each overridden field the time up to which merged profiles do not fill the field.
  await schema.addColumn("profiles", "settled", nullable(json()));
  // Serves the merged profiles of a root and, with root_id null, the root profiles of a shard.
  await schema.addIndex("profiles", "profiles_by_root", [
    "organization_id",
    "root_id",
    "shard",
    "profile_id",
  ]);
  await schema.dropIndex("profiles", "profiles_by_shard");
  // A copy of the profile's root_id, so that ingest reads the profile and the root in one statement.
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
  // The identity version of each shard: grows with every change of identity links in the shard.
  await schema.createTable("shard_identity_versions", {
    columns: { shard: tiny(), identity_version: integer() },
    primaryKey: ["shard"],
  });
  const rows = Array.from({ length: SHARD_COUNT }, (_, shard) => [shard, 0]);
  await insertRows(schema.trx, "shard_identity_versions", ["shard", "identity_version"], rows, "keep", [
    "shard",
  ]);
}
