// A service's schema as the ledger's tests need it: the ledger, and a table to have an effect on.
import { bytes, type Schema } from "@muster/db";
import { createIdempotencyTable } from "../../idempotency-table.ts";

export async function up(schema: Schema): Promise<void> {
  await createIdempotencyTable(schema);
  await schema.createTable("effects", { columns: { name: bytes(64) }, primaryKey: ["name"] });
}
