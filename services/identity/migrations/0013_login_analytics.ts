// Creates the tables of login analytics, and those of the consumer that fills them from identity's own outbox.
import { ALL_SHARDS } from "@muster/core";
import { id16, insertRows, instant, integer, type Schema, type Transaction, tiny } from "@muster/db";
import { createConsumerTables } from "@muster/outbox";

export async function up(schema: Schema): Promise<void> {
  await createConsumerTables(schema);
  await seedLoginCursors(schema.trx);
  await createEvents(schema);
  await schema.createTable("login_daily", {
    columns: {
      organization_id: id16(),
      // A UTC date, in days since 1970.
      day: integer(),
      // A user's logins are all in one shard, so that the shards' counts of users add up.
      shard: tiny(),
      logins: integer(),
      users: integer(),
    },
    primaryKey: ["organization_id", "day", "shard"],
    indexes: { login_daily_day_ix: ["shard", "day"] },
  });
  await createTotals(schema);
  await schema.createTable("login_windows", {
    columns: {
      shard: tiny(),
      window_days: tiny(),
      // The latest date on which the shard's owner has worked.
      day: integer(),
      // Of the last applied message.
      position: integer(),
      // Logins up to this date, and up to this position of the date, are not in the totals.
      expired_day: integer(),
      expired_position: integer(),
    },
    primaryKey: ["shard", "window_days"],
  });
}

async function createEvents(schema: Schema): Promise<void> {
  await schema.createTable("login_events", {
    columns: {
      organization_id: id16(),
      user_id: id16(),
      login_id: id16(),
      day: integer(),
      shard: tiny(),
      position: integer(),
      time_ms: instant(),
    },
    primaryKey: ["organization_id", "user_id", "login_id"],
    indexes: {
      login_events_day_ix: ["organization_id", "day", "user_id", "shard", "position"],
      login_events_shard_ix: ["shard", "day", "position"],
    },
  });
}

async function createTotals(schema: Schema): Promise<void> {
  await schema.createTable("login_totals", {
    columns: {
      organization_id: id16(),
      window_days: tiny(),
      user_id: id16(),
      // Negative, so that an ascending index has the most logins first and ties by id.
      negative_logins: integer(),
      shard: tiny(),
      // Of the last login.
      position: integer(),
    },
    primaryKey: ["organization_id", "window_days", "user_id"],
    indexes: {
      login_totals_rank_ix: ["organization_id", "window_days", "negative_logins", "user_id"],
      login_totals_position_ix: ["organization_id", "window_days", "shard", "position"],
    },
  });
}

interface ShardRow {
  readonly shard: number;
  readonly position: number | null;
}

/** Messages that were trimmed cannot be read any more: each shard begins with its oldest message. */
async function seedLoginCursors(trx: Transaction): Promise<void> {
  const oldest: ShardRow[] = await trx("outbox_messages")
    .select("shard")
    .min({ position: "position" })
    .groupBy("shard");
  const last: ShardRow[] = await trx("shard_positions").select("shard", "position");
  const rows = ALL_SHARDS.map((shard) => {
    const first = oldest.find((row) => row.shard === shard)?.position;
    const end = last.find((row) => row.shard === shard)?.position ?? 0;
    const position = first === undefined || first === null ? end : first - 1;
    return [
      Buffer.from("login-analytics"),
      Buffer.from("identity"),
      shard,
      position,
      0,
      0,
      Buffer.alloc(0),
      0,
    ];
  });
  const columns = ["consumer", "source", "shard", "position", "items_through"];
  await insertRows(
    trx,
    "shard_cursors",
    [...columns, "fencing_token", "owner", "lease_until_ms"],
    rows,
    "keep",
    ["consumer", "source", "shard"],
  );
}
