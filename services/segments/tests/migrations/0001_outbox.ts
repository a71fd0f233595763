// Creates the tables of a producing service only.
import type { Schema } from "@muster/db";
import { createOutboxTables } from "@muster/outbox";

export async function up(schema: Schema): Promise<void> {
  await createOutboxTables(schema);
}
