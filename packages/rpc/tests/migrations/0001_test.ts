// A service's schema as the idempotency tests need it: the ledger, and a table to have an effect on.
import { bytes, type Schema } from "@muster/db";
import { createIdempotencyTable } from "@muster/idempotency";

export async function up(schema: Schema): Promise<void> {
  await createIdempotencyTable(schema);
  await schema.createTable("effects", { columns: { name: bytes(64) }, primaryKey: ["name"] });
}
