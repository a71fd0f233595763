// Whom kept answers are about.
import type { Schema } from "@muster/db";
import { createIdempotencySubjectsTable } from "@muster/idempotency";

export async function up(schema: Schema): Promise<void> {
  await createIdempotencySubjectsTable(schema);
}
