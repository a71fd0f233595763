// Creates the tables of the outbox, from which identity's domain events are published.
import type { Schema } from "@muster/db";
import { createOutboxTables } from "@muster/outbox";

export async function up(schema: Schema): Promise<void> {
  await createOutboxTables(schema);
}
