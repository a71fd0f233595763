// Creates the tables that count the calls of API keys.
import { id16, instant, integer, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("api_key_usage", {
    columns: {
      organization_id: id16(),
      api_key_id: id16(),
      // A UTC date, in days since 1970.
      day: integer(),
      calls: integer(),
    },
    primaryKey: ["organization_id", "api_key_id", "day"],
    indexes: { api_key_usage_day_ix: ["day"] },
  });
  await schema.createTable("api_key_usage_reporters", {
    columns: {
      // Of one start of a process.
      reporter_id: id16(),
      // Of the last report that was added; repeats are ignored.
      sequence: integer(),
      update_time_ms: instant(),
    },
    primaryKey: ["reporter_id"],
    indexes: { api_key_usage_reporters_update_ix: ["update_time_ms"] },
  });
}
