// Creates the tables of segments, profile states, memberships and pending work.
import {
  bool,
  bytes,
  id16,
  instant,
  integer,
  json,
  nullable,
  type Schema,
  tiny,
  withDefault,
} from "@muster/db";
import { createIdempotencySubjectsTable, createIdempotencyTable } from "@muster/idempotency";
import { createConsumerTables, createOutboxTables } from "@muster/outbox";
import { seedIncompleteShardsLock } from "../src/rebuild/backfill-store.ts";

export async function up(schema: Schema): Promise<void> {
  await createSegmentTables(schema);
  await createProfileTables(schema);
  await createBacklogTables(schema);
  await createErasureTables(schema);
  await createConsumerTables(schema);
  await createOutboxTables(schema);
  await createIdempotencyTable(schema);
  await createIdempotencySubjectsTable(schema);
}

async function createSegmentTables(schema: Schema): Promise<void> {
  // One row for each provisioned organization; also the lock of its segments.
  await schema.createTable("organizations", {
    columns: {
      organization_id: id16(),
      // Counts every change of the segments: each batch reads it and reloads changed definitions.
      definitions_version: integer(),
      segment_count: integer(),
      // Whether the default segment was created. It is never created again, even after a deletion.
      has_default: bool(),
      // The retention of raw events; 0 means unlimited. No rule may look further back.
      raw_event_days: withDefault(integer(), 0),
    },
    primaryKey: ["organization_id"],
  });
  await schema.createTable("segments", {
    columns: {
      organization_id: id16(),
      segment_id: id16(),
      slug: bytes(255),
      name: bytes(255),
      rule: json(),
      version: integer(),
      create_ms: instant(),
      update_ms: instant(),
      // Whether entries of a backfill are announced.
      announce_backfill: withDefault(bool(), 0),
      // The id of memberships, counts and backfills. A segment's first rule uses the segment's id.
      evaluation_id: id16(),
      // A changed rule is evaluated under an id of its own until it replaces the serving rule.
      pending_evaluation_id: nullable(id16()),
      pending_rule: nullable(json()),
      pending_version: nullable(integer()),
      // The replaced evaluation, until all differences are published.
      previous_evaluation_id: nullable(id16()),
    },
    primaryKey: ["organization_id", "segment_id"],
    unique: { segments_slug: ["organization_id", "slug"] },
    indexes: { segments_evaluation: ["organization_id", "evaluation_id"] },
  });
}

async function createProfileTables(schema: Schema): Promise<void> {
  await schema.createTable("profile_states", {
    columns: {
      organization_id: id16(),
      shard: tiny(),
      profile_id: id16(),
      // The earliest instant at which time alone could change a membership; events only lower it.
      next_due_at: nullable(instant()),
      state: json(),
    },
    // The shard follows from the other two columns. It lets the shard's owner walk its own rows.
    primaryKey: ["organization_id", "shard", "profile_id"],
    indexes: { profile_states_due: ["shard", "next_due_at"] },
  });
  // Rows stay after an exit: an upsert with a flag costs a tenth of a delete.
  await schema.createTable("memberships", {
    columns: {
      organization_id: id16(),
      evaluation_id: id16(),
      profile_id: id16(),
      member: bool(),
      entered_ms: instant(),
      changed_ms: instant(),
    },
    primaryKey: ["organization_id", "evaluation_id", "profile_id"],
  });
  await schema.createTable("segment_counts", {
    columns: {
      organization_id: id16(),
      evaluation_id: id16(),
      shard: tiny(),
      members: integer(),
      // The number of rows of exited memberships.
      exits: withDefault(integer(), 0),
      // The number of profiles whose membership is unknown, because a predicate exceeded its budget.
      limited: withDefault(integer(), 0),
    },
    primaryKey: ["organization_id", "evaluation_id", "shard"],
    indexes: { segment_counts_exits: ["shard", "exits"] },
  });
  // The instants from which on facts are complete.
  await schema.createTable("fact_horizons", {
    columns: { organization_id: id16(), fact_key: bytes(255), complete_since_ms: instant() },
    primaryKey: ["organization_id", "fact_key"],
  });
}

/** Rows exist only while work is pending, so "is it done?" is "is there no row?". */
async function createBacklogTables(schema: Schema): Promise<void> {
  // Backfills by shard. Evaluation 0 stands for all evaluations of the organization.
  await schema.createTable("segment_backfills", {
    columns: { organization_id: id16(), evaluation_id: id16(), shard: tiny(), after_profile_id: id16() },
    primaryKey: ["organization_id", "evaluation_id", "shard"],
    indexes: { segment_backfills_shard: ["shard"] },
  });
  // Single profiles to rebuild from raw events.
  await schema.createTable("profile_rebuilds", {
    columns: {
      organization_id: id16(),
      shard: tiny(),
      profile_id: id16(),
      // Why the profile is rebuilt: see RebuildReason.
      reason: withDefault(tiny(), 0),
    },
    primaryKey: ["organization_id", "shard", "profile_id"],
    indexes: { profile_rebuilds_shard: ["shard"] },
  });
  // Shards that lost an unreadable message: organizations provisioned later start with a backfill.
  await schema.createTable("incomplete_shards", {
    columns: { shard: tiny(), marked_ms: instant() },
    primaryKey: ["shard"],
  });
  await seedIncompleteShardsLock(schema.trx);
  // Remaining data of deleted segments, by shard.
  await schema.createTable("segment_purges", {
    columns: {
      organization_id: id16(),
      evaluation_id: id16(),
      shard: tiny(),
      after_profile_id: id16(),
      // For a replaced evaluation: its successor, and which differences are published.
      successor_id: nullable(id16()),
      published_changes: withDefault(tiny(), 0),
    },
    primaryKey: ["organization_id", "shard", "evaluation_id"],
    indexes: {
      segment_purges_shard: ["shard"],
      segment_purges_rule_switch: ["published_changes", "shard"],
    },
  });
}

async function createErasureTables(schema: Schema): Promise<void> {
  // Erasures that are unfinished here or not acknowledged by the events service.
  await schema.createTable("erasure_reports", {
    columns: {
      shard: tiny(),
      organization_id: id16(),
      erasure_id: id16(),
      profile_id: id16(),
      // Outbox messages of the shard up to this position may contain the profile.
      through_position: integer(),
      // Removed rows so far, by location.
      locations: json(),
      requested_ms: instant(),
    },
    primaryKey: ["shard", "organization_id", "erasure_id", "profile_id"],
  });
}
