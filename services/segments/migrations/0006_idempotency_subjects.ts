// Adds the profiles of stored responses, so that an erasure finds the responses.
import type { Schema } from "@muster/db";
import { createIdempotencySubjectsTable } from "@muster/idempotency";

export async function up(schema: Schema): Promise<void> {
  await createIdempotencySubjectsTable(schema);
}
