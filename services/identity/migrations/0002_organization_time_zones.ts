// Where an organization's calendar days begin.
import { bytes, nullable, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // Null is UTC, as for all that were made before.
  await schema.addColumn("organizations", "time_zone", nullable(bytes(64)));
}
