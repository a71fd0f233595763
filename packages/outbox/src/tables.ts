// Creates the tables that producers and consumers keep in their own schema. The migrations of the services
// call these functions.
import { blob, bytes, id16, instant, integer, nullable, type Schema, text, tiny } from "@muster/db";
import { seedOutbox } from "./relay/relay-store.ts";

/** Creates the tables of a service that appends to an outbox. Safe to run again. */
export async function createOutboxTables(schema: Schema): Promise<void> {
  await schema.createTable("shard_positions", {
    columns: { shard: tiny(), position: integer(), items: integer() },
    primaryKey: ["shard"],
  });
  await schema.createTable("outbox_messages", {
    columns: {
      shard: tiny(),
      position: integer(),
      message_id: id16(),
      type: bytes(128),
      time_ms: instant(),
      items_through: integer(),
      trace_parent: bytes(64),
      data: blob(),
    },
    primaryKey: ["shard", "position"],
  });
  await schema.createTable("relay_cursors", {
    columns: { shard: tiny(), published_position: integer() },
    primaryKey: ["shard"],
  });
  await schema.createTable("relay_lease", {
    columns: { id: tiny(), owner: bytes(128), until_ms: instant() },
    primaryKey: ["id"],
  });
  await schema.createTable("outbox_consumers", {
    columns: { consumer: bytes(64), shard: tiny(), position: integer(), items_through: integer() },
    primaryKey: ["consumer", "shard"],
  });
  await seedOutbox(schema.trx);
}

/** Creates the tables of a service that runs a ShardConsumer. Safe to run again. */
export async function createConsumerTables(schema: Schema): Promise<void> {
  await schema.createTable("shard_cursors", {
    columns: {
      consumer: bytes(64),
      source: bytes(64),
      shard: tiny(),
      position: integer(),
      items_through: integer(),
      fencing_token: integer(),
      owner: bytes(128),
      lease_until_ms: instant(),
    },
    primaryKey: ["consumer", "source", "shard"],
  });
  await schema.createTable("awaited_positions", {
    columns: {
      consumer: bytes(64),
      source: bytes(64),
      shard: tiny(),
      position: integer(),
      requested_ms: instant(),
    },
    primaryKey: ["consumer", "source", "shard"],
  });
  await schema.createTable("consumer_members", {
    columns: { consumer: bytes(64), source: bytes(64), owner: bytes(128), alive_until_ms: instant() },
    primaryKey: ["consumer", "source", "owner"],
  });
  await schema.createTable("dead_letters", {
    columns: {
      id: id16(),
      consumer: bytes(64),
      source: bytes(64),
      shard: tiny(),
      position: integer(),
      type: bytes(128),
      raw: blob(),
      error: text(500),
      attempts: integer(),
      dead_ms: instant(),
      replay_requested_ms: nullable(instant()),
      replayed_ms: nullable(instant()),
    },
    primaryKey: ["id"],
    indexes: { dead_letters_replay_ix: ["replay_requested_ms"] },
  });
}

/** Creates the table of the organizations that a service has erased or is erasing. Safe to run again. */
export async function createClosedOrganizationsTable(schema: Schema): Promise<void> {
  await schema.createTable("closed_organizations", {
    columns: {
      organization_id: id16(),
      close_time_ms: instant(),
      sweeps: tiny(),
      // When the next sweep is due, or when the lease of the running one ends; null after the last.
      next_sweep_ms: nullable(instant()),
    },
    primaryKey: ["organization_id"],
    indexes: { closed_organizations_due: ["next_sweep_ms", "organization_id"] },
  });
}
