// Adds the retention of raw events, and the instants from which on facts are complete.
import { bytes, id16, instant, integer, type Schema, withDefault } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // 0 means unlimited. No rule may look further back.
  await schema.addColumn("organizations", "raw_event_days", withDefault(integer(), 0));
  await schema.createTable("fact_horizons", {
    columns: { organization_id: id16(), fact_key: bytes(255), complete_since_ms: instant() },
    primaryKey: ["organization_id", "fact_key"],
  });
}
