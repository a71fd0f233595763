// Adds to API keys the maker, the last use, the rank for granting roles, and whether a rotation has replaced the key.
import { bool, bytes, id16, instant, nullable, type Schema, withDefault } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // The user who made the key; null for a key made by a key or by an operator.
  await schema.addColumn("api_keys", "created_by", nullable(id16()));
  // The role up to which the key grants roles; null ranks the key as a member.
  await schema.addColumn("api_keys", "grant_up_to", nullable(bytes(16)));
  await schema.addColumn("api_keys", "last_used_time_ms", nullable(instant()));
  await schema.addColumn("api_keys", "is_rotated", withDefault(bool(), 0));
  await schema.addIndex("api_keys", "api_keys_maker_ix", [
    "created_by",
    "organization_id",
    "create_time_ms",
    "id",
  ]);
}
