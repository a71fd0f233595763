// Creates the tables of profiles, tracked events, the outbox and the idempotency ledger.

import { bytes, id16, instant, integer, json, nullable, type Schema, tiny } from "@muster/db";
import { createIdempotencyTable } from "@muster/idempotency";
import { createOutboxTables } from "@muster/outbox";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("profiles", {
    columns: {
      organization_id: id16(),
      profile_id: id16(),
      shard: tiny(),
      user_id: nullable(bytes(255)),
      anonymous_id: nullable(bytes(255)),
      email: nullable(bytes(255)),
      name: nullable(bytes(1024)),
      traits: json(),
      create_ms: instant(),
      update_ms: instant(),
    },
    // UUIDv7, so the key order is the order of creation, in which profiles are listed.
    primaryKey: ["organization_id", "profile_id"],
    indexes: { profiles_by_shard: ["organization_id", "shard", "profile_id"] },
  });
  await schema.createTable("profile_identities", {
    columns: {
      organization_id: id16(),
      kind: tiny(),
      // Emails in lower case; other identities as sent.
      value: bytes(255),
      profile_id: id16(),
    },
    primaryKey: ["organization_id", "kind", "value"],
  });
  await schema.createTable("tracked_events", {
    columns: {
      organization_id: id16(),
      // Days since 1970-01-01 UTC, negative before.
      day: integer(),
      event_id: id16(),
      profile_id: id16(),
      name: bytes(255),
      occurred_ms: instant(),
      received_ms: instant(),
      client_event_id: nullable(bytes(255)),
      properties: json(),
    },
    primaryKey: ["organization_id", "day", "event_id"],
    indexes: {
      tracked_events_by_profile: ["organization_id", "profile_id", "occurred_ms", "event_id"],
    },
  });
  await schema.createTable("undated_event_ids", {
    columns: { organization_id: id16(), client_event_id: bytes(255), event_id: id16(), day: integer() },
    primaryKey: ["organization_id", "client_event_id"],
  });
  await createOutboxTables(schema);
  await createIdempotencyTable(schema);
}
