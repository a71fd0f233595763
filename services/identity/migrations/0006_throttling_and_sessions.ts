// Creates the tables of failed logins, sessions with their refresh tokens, and known devices.
import { bytes, id16, instant, integer, json, nullable, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await createLoginCounters(schema);
  await createSessions(schema);
  await schema.createTable("known_devices", {
    columns: {
      id: id16(),
      user_id: id16(),
      // SHA-256 of the device token; each login from the device replaces the token.
      token_hash: bytes(32),
      create_time_ms: instant(),
      expire_time_ms: instant(),
    },
    primaryKey: ["id"],
    unique: { known_devices_token_uq: ["token_hash"] },
    indexes: {
      known_devices_user_ix: ["user_id", "expire_time_ms"],
      known_devices_expire_ix: ["expire_time_ms"],
    },
  });
}

async function createLoginCounters(schema: Schema): Promise<void> {
  await schema.createTable("login_counters", {
    columns: {
      // Keyed digest of a pair of address typed and client or device, of an address typed, or of a client.
      counter_key: bytes(32),
      failures: integer(),
      // The failures count until then.
      end_time_ms: instant(),
      // Of an address: how often a mail has unlocked it. Of a pair: the address's number at the last failure.
      unlocks: integer(),
      // Of an address: set while an unlock mail is due.
      mail_due_time_ms: nullable(instant()),
      // The account that the due mail is for; null for an address without an account.
      mail_user_id: nullable(id16()),
      // When the last unlock mail was queued.
      mail_time_ms: nullable(instant()),
      expire_time_ms: instant(),
    },
    primaryKey: ["counter_key"],
    indexes: {
      login_counters_mail_ix: ["mail_due_time_ms"],
      login_counters_expire_ix: ["expire_time_ms"],
    },
  });
}

async function createSessions(schema: Schema): Promise<void> {
  await schema.createTable("sessions", {
    columns: {
      id: id16(),
      user_id: id16(),
      organization_id: nullable(id16()),
      create_time_ms: instant(),
      // Of the last refresh.
      last_used_time_ms: instant(),
      // When a password or a code was entered last; null for a magic link alone.
      authenticated_time_ms: nullable(instant()),
      // JSON list: "password", "totp", "backup_code", "magic_link".
      authentication_methods: json(),
      // The session ends by itself then: 7 days after its last use, 30 days after its start at the latest.
      expire_time_ms: instant(),
      // Set when the session was ended.
      end_time_ms: nullable(instant()),
      // The user agent at the start.
      client: bytes(255),
      client_address: bytes(64),
    },
    primaryKey: ["id"],
    indexes: {
      sessions_user_ix: ["user_id", "create_time_ms", "id"],
      sessions_expire_ix: ["expire_time_ms"],
    },
  });
  await schema.createTable("refresh_tokens", {
    columns: {
      // SHA-256 of the token.
      token_hash: bytes(32),
      session_id: id16(),
      // When the token was replaced, by the database's clock; null for the newest token of the session.
      used_time_ms: nullable(instant()),
      // The successor, sealed under a key derived from this token; deleted after the grace period.
      successor_seal: nullable(bytes(255)),
      seal_end_time_ms: nullable(instant()),
    },
    primaryKey: ["token_hash"],
    indexes: {
      refresh_tokens_session_ix: ["session_id"],
      refresh_tokens_used_ix: ["used_time_ms"],
      refresh_tokens_seal_ix: ["seal_end_time_ms"],
    },
  });
}
