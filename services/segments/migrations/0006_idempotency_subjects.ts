// Whom kept answers are about, so that those of an erased person are found.
import type { Schema } from "@muster/db";
import { createIdempotencySubjectsTable } from "@muster/idempotency";

export async function up(schema: Schema): Promise<void> {
  await createIdempotencySubjectsTable(schema);
}
