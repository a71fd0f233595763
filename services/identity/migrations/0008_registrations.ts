// Creates the table of registrations whose address is not verified yet.
import { bytes, id16, instant, nullable, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("pending_registrations", {
    columns: {
      // SHA-256 of the token. A repeated mail adds a row with a token of its own.
      token_hash: bytes(32),
      registration_id: id16(),
      email: bytes(320),
      // The canonical form.
      email_key: bytes(320),
      name: bytes(400),
      // PHC string; null in a repeated mail of an address with several registrations.
      password_hash: nullable(bytes(255)),
      organization_name: nullable(bytes(255)),
      // SHA-256 of the token of an invitation.
      invitation_hash: nullable(bytes(32)),
      create_time_ms: instant(),
      expire_time_ms: instant(),
    },
    primaryKey: ["token_hash"],
    indexes: {
      pending_registrations_email_ix: ["email_key", "create_time_ms"],
      pending_registrations_expire_ix: ["expire_time_ms"],
    },
  });
}
