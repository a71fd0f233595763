// Creates the tables of second factors, backup codes, login challenges, recoveries and magic links.
import { bool, bytes, id16, instant, integer, json, nullable, type Schema, tiny } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await createFactors(schema);
  await schema.createTable("login_challenges", {
    columns: {
      // SHA-256 of the challenge.
      challenge_hash: bytes(32),
      user_id: id16(),
      // "password" or "magic_link".
      method: bytes(16),
      // The user's version when the challenge was issued: a later version voids the challenge.
      security_version: integer(),
      is_ended: bool(),
      // The known device that logs in: id, and hash of its token.
      device_id: nullable(id16()),
      device_token_hash: nullable(bytes(32)),
      create_time_ms: instant(),
      expire_time_ms: instant(),
    },
    primaryKey: ["challenge_hash"],
    indexes: {
      login_challenges_user_ix: ["user_id", "create_time_ms"],
      login_challenges_expire_ix: ["expire_time_ms"],
    },
  });
  await schema.createTable("magic_links", {
    columns: {
      id: id16(),
      // SHA-256 of the token of the link.
      token_hash: bytes(32),
      // Keyed hash of the six-digit code; null without a challenge, because then only the link works.
      code_hash: nullable(bytes(32)),
      // The S256 challenge of the client.
      code_challenge: nullable(bytes(32)),
      wrong_codes: tiny(),
      // Null for an address without an account.
      user_id: nullable(id16()),
      security_version: integer(),
      create_time_ms: instant(),
      expire_time_ms: instant(),
    },
    primaryKey: ["id"],
    unique: { magic_links_token_uq: ["token_hash"] },
    indexes: {
      magic_links_challenge_ix: ["code_challenge", "create_time_ms", "id"],
      magic_links_expire_ix: ["expire_time_ms"],
    },
  });
}

async function createFactors(schema: Schema): Promise<void> {
  await schema.createTable("totp_factors", {
    columns: {
      user_id: id16(),
      sealed_secret: bytes(128),
      create_time_ms: instant(),
      // Null while the user has entered no code of the secret.
      confirm_time_ms: nullable(instant()),
      // Since when the factor allows step-up; null while only an access token vouches for it.
      trust_time_ms: nullable(instant()),
      // Number of the latest time step whose code was used; -1 before the first.
      last_used_step: integer(),
    },
    primaryKey: ["user_id"],
  });
  await schema.createTable("backup_codes", {
    // Keyed hash of the code. A used code is deleted.
    columns: { user_id: id16(), code_hash: bytes(32) },
    primaryKey: ["user_id", "code_hash"],
  });
  await schema.createTable("code_guesses", {
    columns: {
      user_id: id16(),
      // "second_factor" or "mail_code".
      kind: bytes(16),
      failure_times_ms: json(),
      locked_until_ms: nullable(instant()),
    },
    primaryKey: ["user_id", "kind"],
  });
  await schema.createTable("two_factor_recoveries", {
    columns: {
      user_id: id16(),
      // The user's version at the confirmation: a later version voids the recovery.
      security_version: integer(),
      create_time_ms: instant(),
      effective_time_ms: instant(),
    },
    primaryKey: ["user_id"],
    indexes: { two_factor_recoveries_time_ix: ["effective_time_ms"] },
  });
}
