// Creates the table of closed organizations.
import type { Schema } from "@muster/db";
import { createClosedOrganizationsTable } from "@muster/outbox";

export async function up(schema: Schema): Promise<void> {
  await createClosedOrganizationsTable(schema);
}
