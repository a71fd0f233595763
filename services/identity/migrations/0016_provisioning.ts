// Creates the tables of partners and of the organizations that they have provisioned.
import { blob, bytes, id16, instant, nullable, type Schema, tiny } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("partners", {
    columns: {
      id: id16(),
      name: bytes(255),
      // SHA-256 of the key.
      key_hash: bytes(32),
      // Sealed, because an HMAC needs the secret itself.
      sealed_secret: blob(),
      create_time_ms: instant(),
    },
    primaryKey: ["id"],
    unique: { partners_key_uq: ["key_hash"] },
  });
  await schema.createTable("provisionings", {
    columns: {
      partner_id: id16(),
      external_id: bytes(255),
      // Keyed digest of the content of the request.
      content_digest: bytes(32),
      organization_id: id16(),
      // Null until the work is done.
      owner_id: nullable(id16()),
      // Whether the owner was invited; null until the work is done.
      is_invited: nullable(tiny()),
      // The content of the request, sealed; null once the work is done.
      input: nullable(blob()),
      create_time_ms: instant(),
      // When a worker takes the work over; null once the work is done.
      due_time_ms: nullable(instant()),
    },
    primaryKey: ["partner_id", "external_id"],
    unique: { provisionings_organization_uq: ["organization_id"] },
    indexes: { provisionings_due_ix: ["due_time_ms", "organization_id"] },
  });
}
