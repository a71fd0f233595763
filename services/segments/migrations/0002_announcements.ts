// What this service announces: who enters and leaves, and for which segments also the past.
import { bool, type Schema, withDefault } from "@muster/db";
import { createOutboxTables } from "@muster/outbox";

export async function up(schema: Schema): Promise<void> {
  await createOutboxTables(schema);
  await schema.addColumn("segments", "announce_backfill", withDefault(bool(), 0));
}
