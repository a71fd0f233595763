// Adds the profiles that saved responses are about.
import type { Schema } from "@muster/db";
import { createIdempotencySubjectsTable } from "@muster/idempotency";

export async function up(schema: Schema): Promise<void> {
  await createIdempotencySubjectsTable(schema);
}
