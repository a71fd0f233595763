// Creates the tables of users, their memberships and activities, and of the tokens that mail links carry.
import { bool, bytes, id16, instant, integer, json, nullable, type Schema, withDefault } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await createUsers(schema);
  await createMemberships(schema);
  await schema.createTable("user_activities", {
    columns: {
      user_id: id16(),
      create_time_ms: instant(),
      id: id16(),
      kind: bytes(64),
      client: bytes(255),
      client_address: bytes(64),
    },
    primaryKey: ["user_id", "create_time_ms", "id"],
    indexes: { user_activities_time_ix: ["create_time_ms"] },
  });
  await schema.createTable("one_time_tokens", {
    columns: {
      // SHA-256 of the token.
      token_hash: bytes(32),
      purpose: bytes(32),
      user_id: id16(),
      // The user's version when the token was issued: a later version voids the token.
      security_version: integer(),
      details: json(),
      create_time_ms: instant(),
      expire_time_ms: instant(),
    },
    primaryKey: ["token_hash"],
    indexes: {
      one_time_tokens_user_ix: ["user_id", "purpose"],
      one_time_tokens_expire_ix: ["expire_time_ms"],
    },
  });
}

async function createUsers(schema: Schema): Promise<void> {
  await schema.createTable("users", {
    columns: {
      id: id16(),
      // As the user wrote it; mail goes to this spelling.
      email: bytes(320),
      // The canonical form, by which addresses compare.
      email_key: bytes(320),
      email_verified: bool(),
      name: bytes(400),
      // Language of mails; null is "en".
      locale: nullable(bytes(8)),
      // PHC string; null until the user has set a password.
      password_hash: nullable(bytes(255)),
      password_reset_required: bool(),
      // Grows with every change of the address or the password.
      security_version: integer(),
      // Of the latest login or switch.
      last_organization_id: nullable(id16()),
      create_time_ms: instant(),
      update_time_ms: instant(),
    },
    primaryKey: ["id"],
    unique: { users_email_uq: ["email_key"] },
  });
}

async function createMemberships(schema: Schema): Promise<void> {
  await schema.createTable("memberships", {
    columns: {
      organization_id: id16(),
      user_id: id16(),
      // The display name within the organization.
      name: bytes(400),
      role: bytes(16),
      status: bytes(16),
      last_login_time_ms: nullable(instant()),
      login_count: withDefault(integer(), 0),
      version: withDefault(integer(), 1),
      create_time_ms: instant(),
      update_time_ms: instant(),
    },
    primaryKey: ["organization_id", "user_id"],
    indexes: {
      memberships_user_ix: ["user_id", "organization_id"],
      memberships_role_ix: ["organization_id", "role", "status"],
    },
  });
}
