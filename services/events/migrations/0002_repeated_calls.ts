// Creates the table of the calls whose events a repetition must find again.
import { bytes, id16, instant, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("repeated_calls", {
    columns: { organization_id: id16(), call_digest: bytes(32), seed: id16(), received_ms: instant() },
    primaryKey: ["organization_id", "call_digest"],
    indexes: { repeated_calls_received_ix: ["received_ms"] },
  });
}
