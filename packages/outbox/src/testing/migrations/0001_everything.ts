// Creates the tables of a service that both produces and consumes, and the tables of the tests.
import { bytes, integer, type Schema, tiny } from "@muster/db";
import { createIdempotencySubjectsTable, createIdempotencyTable } from "@muster/idempotency";
import { createConsumerTables, createOutboxTables } from "../../tables.ts";

export async function up(schema: Schema): Promise<void> {
  await createOutboxTables(schema);
  await createConsumerTables(schema);
  await createIdempotencyTable(schema);
  await createIdempotencySubjectsTable(schema);
  await schema.createTable("names", { columns: { name: bytes(64) }, primaryKey: ["name"] });
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
