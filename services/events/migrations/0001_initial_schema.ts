// Creates the tables of the events service: profiles, tracked events, read models, alerts, erasures and retention.
import { SHARD_COUNT } from "@muster/core";
import {
  blob,
  bool,
  bytes,
  id16,
  insertRows,
  instant,
  integer,
  json,
  nullable,
  type Schema,
  tiny,
} from "@muster/db";
import { createIdempotencySubjectsTable, createIdempotencyTable } from "@muster/idempotency";
import { createOutboxTables } from "@muster/outbox";
import { createAlertTables } from "./initial-schema/alert-tables.ts";

export async function up(schema: Schema): Promise<void> {
  await createProfiles(schema);
  await createIdentityLinks(schema);
  await createEvents(schema);
  await createReadModels(schema);
  await createAlertTables(schema);
  await createErasures(schema);
  await createRetention(schema);
  await createOutboxTables(schema);
  await createIdempotencyTable(schema);
  await createIdempotencySubjectsTable(schema);
}

async function createProfiles(schema: Schema): Promise<void> {
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
      // The parent of a merged profile, and the root of its group. Null for a root profile.
      parent_id: nullable(id16()),
      root_id: nullable(id16()),
      merged_ms: nullable(instant()),
      // JSON object: for each overridden field the time up to which merged profiles do not fill the field.
      overridden_at: nullable(json()),
    },
    // UUIDv7, so the key order is the order of creation, in which profiles are listed.
    primaryKey: ["organization_id", "profile_id"],
    // Serves the merged profiles of a root and, with root_id null, the root profiles of a shard.
    indexes: { profiles_by_root: ["organization_id", "root_id", "shard", "profile_id"] },
  });
  await schema.createTable("profile_identities", {
    columns: {
      organization_id: id16(),
      kind: tiny(),
      // Emails in lower case; other identities as sent.
      value: bytes(255),
      profile_id: id16(),
      // A copy of the profile's root_id, so that ingest reads the profile and the root in one statement.
      root_id: nullable(id16()),
    },
    primaryKey: ["organization_id", "kind", "value"],
  });
}

async function createIdentityLinks(schema: Schema): Promise<void> {
  await schema.createTable("profile_merges", {
    columns: {
      organization_id: id16(),
      profile_id: id16(),
      merge_id: id16(),
      into_profile_id: id16(),
      actor: bytes(255),
      merged_ms: instant(),
      undone_actor: nullable(bytes(255)),
      undone_ms: nullable(instant()),
    },
    primaryKey: ["organization_id", "profile_id", "merge_id"],
    indexes: { profile_merges_by_into: ["organization_id", "into_profile_id", "profile_id", "merge_id"] },
  });
  // The identity version of each shard grows with every change of identity links in the shard. One more row,
  // numbered SHARD_COUNT, grows with every erased event of any shard.
  await schema.createTable("shard_identity_versions", {
    columns: { shard: tiny(), identity_version: integer() },
    primaryKey: ["shard"],
  });
  const rows = Array.from({ length: SHARD_COUNT + 1 }, (_, shard) => [shard, 0]);
  const columns = ["shard", "identity_version"];
  await insertRows(schema.trx, "shard_identity_versions", columns, rows, "keep", ["shard"]);
}

async function createEvents(schema: Schema): Promise<void> {
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
}

async function createReadModels(schema: Schema): Promise<void> {
  await schema.createTable("event_counts", {
    columns: { organization_id: id16(), profile_id: id16(), name: bytes(255), count: integer() },
    primaryKey: ["organization_id", "profile_id", "name"],
  });
  await schema.createTable("page_view_hours", {
    columns: {
      organization_id: id16(),
      // UTC days since 1970, and the hour of the day.
      day: integer(),
      profile_id: id16(),
      hour: tiny(),
      // Part 0 receives new views; the other parts are full and never change.
      part: integer(),
      // In part 0: the number of other parts.
      full_parts: integer(),
      size_bytes: integer(),
      // The encoded views in order of arrival: see page-views.ts.
      views: blob(),
    },
    // Time first, so that new rows go to one end of the table.
    primaryKey: ["organization_id", "day", "profile_id", "hour", "part"],
    indexes: { page_view_hours_by_profile: ["organization_id", "profile_id", "day", "hour", "part"] },
  });
  await schema.createTable("event_types", {
    columns: {
      organization_id: id16(),
      name: bytes(255),
      description: bytes(1024),
      price_millionths: integer(),
      // The organization deleted a default type.
      is_deleted: bool(),
    },
    primaryKey: ["organization_id", "name"],
  });
  // One row for each organization with catalog changes; every change locks the row.
  await schema.createTable("event_catalogs", {
    columns: { organization_id: id16(), changes: integer() },
    primaryKey: ["organization_id"],
  });
}

async function createErasures(schema: Schema): Promise<void> {
  await schema.createTable("erasures", {
    columns: {
      organization_id: id16(),
      // UUIDv7, which orders lists of receipts.
      erasure_id: id16(),
      create_ms: instant(),
      complete_ms: nullable(instant()),
    },
    primaryKey: ["organization_id", "erasure_id"],
  });
  await schema.createTable("erasure_counts", {
    columns: {
      organization_id: id16(),
      erasure_id: id16(),
      profile_id: id16(),
      location: bytes(64),
      entries: integer(),
    },
    primaryKey: ["organization_id", "erasure_id", "profile_id", "location"],
  });
  // One row for each profile of an erased person, until this service has removed all data and the consumers
  // of the shard have reported. A merge target also has a row, because messages of that shard can mention the
  // person.
  await schema.createTable("erasure_tasks", {
    columns: {
      shard: tiny(),
      erasure_id: id16(),
      profile_id: id16(),
      organization_id: id16(),
      is_merge_target: bool(),
      // The shard published no message about the person after this position.
      position: integer(),
      stage: tiny(),
      is_reported: bool(),
      // The lease of the worker ends at this instant.
      lease_until_ms: instant(),
    },
    primaryKey: ["shard", "erasure_id", "profile_id"],
    indexes: {
      erasure_tasks_by_stage: ["shard", "stage", "lease_until_ms"],
      erasure_tasks_by_erasure: ["organization_id", "erasure_id"],
    },
  });
  await schema.createTable("erased_events", {
    // A keyed hash of the id, so that the table does not reveal which events existed.
    columns: { organization_id: id16(), event_hash: id16() },
    primaryKey: ["organization_id", "event_hash"],
  });
  // Organizations with erased events; other organizations need no lookup.
  await schema.createTable("organizations_with_erasures", {
    columns: { organization_id: id16() },
    primaryKey: ["organization_id"],
  });
}

async function createRetention(schema: Schema): Promise<void> {
  await schema.createTable("retentions", {
    columns: {
      organization_id: id16(),
      // 0 means unlimited.
      raw_event_days: integer(),
      aggregate_days: integer(),
      // Raw events that were received and happened before this instant can be missing. The value only
      // increases.
      complete_since_ms: instant(),
      // The instant of the next pass. A worker moves the value forward to lease the pass.
      next_pass_ms: instant(),
      // The day at which an interrupted pass resumes.
      resume_day: nullable(integer()),
      // A change together with the segments service is in progress until this instant.
      changing_until_ms: instant(),
      // The instant and the key at which the walk over the alert history resumes.
      history_due_ms: instant(),
      history_after: nullable(bytes(33)),
      update_ms: instant(),
    },
    primaryKey: ["organization_id"],
  });
  // Days with remaining events after a visit, and the age start of the oldest. A later pass visits the day
  // again when that event expires.
  await schema.createTable("retention_days", {
    columns: { organization_id: id16(), day: integer(), oldest_ms: instant() },
    primaryKey: ["organization_id", "day"],
  });
}
