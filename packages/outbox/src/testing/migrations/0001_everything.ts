// Creates the tables of a service that both produces and consumes, and the table of the summing projection.
import { integer, type Schema, tiny } from "@muster/db";
import { createConsumerTables, createOutboxTables } from "../../tables.ts";

export async function up(schema: Schema): Promise<void> {
  await createOutboxTables(schema);
  await createConsumerTables(schema);
  await schema.createTable("sums", {
    columns: {
      shard: tiny(),
      total: integer(),
      messages: integer(),
      disorder: integer(),
      last_position: integer(),
    },
    primaryKey: ["shard"],
  });
}
