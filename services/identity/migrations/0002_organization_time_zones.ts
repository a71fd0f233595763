// Adds the time zone of an organization, in which its calendar days begin.
import { bytes, nullable, type Schema } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  // Null means UTC, including for every organization created before.
  await schema.addColumn("organizations", "time_zone", nullable(bytes(64)));
}
