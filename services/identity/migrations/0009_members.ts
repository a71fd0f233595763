// Creates the table of removed memberships. Adds to organizations the number of members, and whether they need a second
// factor.
import { bool, bytes, id16, instant, integer, nullable, type Schema, withDefault } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.addColumn("organizations", "require_two_factor", withDefault(bool(), 0));
  // Members that have accepted their invitation.
  await schema.addColumn("organizations", "member_count", withDefault(integer(), 0));
  // The last membership of a person that was removed, for a restore. The person can have a new membership too.
  await schema.createTable("removed_memberships", {
    columns: {
      organization_id: id16(),
      user_id: id16(),
      name: bytes(400),
      role: bytes(16),
      // Before the removal.
      status: bytes(16),
      last_login_time_ms: nullable(instant()),
      login_count: integer(),
      version: integer(),
      create_time_ms: instant(),
      update_time_ms: instant(),
      remove_time_ms: instant(),
    },
    primaryKey: ["organization_id", "user_id"],
    indexes: { removed_memberships_user_ix: ["user_id", "organization_id"] },
  });
  await countMembers(schema);
}

/** Counts the rows, so that a repeated run has the same result. */
async function countMembers({ trx }: Schema): Promise<void> {
  const members = trx("memberships")
    .count("*")
    .whereRaw("memberships.organization_id = organizations.id")
    .whereNot("status", Buffer.from("invited"));
  await trx("organizations").update({ member_count: members });
}
