// Creates the table of invitations that were not accepted yet. The invited members are rows of `memberships`.
import { bytes, id16, instant, nullable, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("invitations", {
    columns: {
      id: id16(),
      organization_id: id16(),
      // The invited member.
      user_id: id16(),
      // As the inviter wrote it.
      email: bytes(320),
      // The canonical form.
      email_key: bytes(320),
      // The user or the API key whose right the invitation rests on.
      inviter_kind: bytes(16),
      inviter_id: id16(),
      // SHA-256 of the token of the latest mail.
      token_hash: bytes(32),
      create_time_ms: instant(),
      expire_time_ms: instant(),
    },
    primaryKey: ["id"],
    unique: {
      invitations_token_uq: ["token_hash"],
      invitations_email_uq: ["organization_id", "email_key"],
      invitations_user_uq: ["organization_id", "user_id"],
    },
    indexes: {
      invitations_list_ix: ["organization_id", "create_time_ms", "id"],
      invitations_inviter_ix: ["organization_id", "inviter_id"],
      invitations_expire_ix: ["expire_time_ms"],
    },
  });
  // The address of an invited member, as the inviter wrote it; null once the person has joined.
  await schema.addColumn("memberships", "invited_email", nullable(bytes(320)));
}
