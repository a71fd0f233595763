// Creates the table of the keys that sign access tokens.
import { bytes, id16, instant, integer, nullable, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("signing_keys", {
    columns: {
      // The `kid` of the tokens.
      id: id16(),
      // Grows by one with each key, so that of two rotations at once one makes the key.
      generation: integer(),
      // The two coordinates of the public key, a point on P-256.
      public_x: bytes(32),
      public_y: bytes(32),
      // The private key (PKCS #8), sealed with the secret of identity.
      sealed_private_key: bytes(255),
      create_time_ms: instant(),
      // Tokens are signed with the newest key whose time has come.
      sign_time_ms: instant(),
      // Tokens of the key are refused from then on; null for the newest key.
      end_time_ms: nullable(instant()),
    },
    primaryKey: ["id"],
    unique: { signing_keys_generation_uq: ["generation"] },
  });
}
