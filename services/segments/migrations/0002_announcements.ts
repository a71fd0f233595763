// Adds the outbox, and the option to announce backfilled entries of a segment.
import { bool, type Schema, withDefault } from "@muster/db";
import { createOutboxTables } from "@muster/outbox";

export async function up(schema: Schema): Promise<void> {
  await createOutboxTables(schema);
  await schema.addColumn("segments", "announce_backfill", withDefault(bool(), 0));
}
