// Deletes the exports of a closed organization with their chunks, in bounded steps.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";

/** A chunk is at most 256 KiB. */
const CHUNKS_AT_ONCE = 64;

/** Returns true at the end. */
export async function deleteExports(trx: Transaction, organizationId: OrganizationId): Promise<boolean> {
  const [found]: { readonly id: Buffer }[] = await trx("exports")
    .select("id")
    .where("organization_id", uuidToBytes(organizationId))
    .limit(1);
  if (found === undefined) return true;
  const chunks: { readonly number: number }[] = await trx("export_chunks")
    .select("number")
    .where("export_id", found.id)
    .orderBy("number")
    .limit(CHUNKS_AT_ONCE);
  const numbers = chunks.map(({ number }) => number);
  if (numbers.length > 0)
    await trx("export_chunks").where("export_id", found.id).whereIn("number", numbers).delete();
  if (numbers.length < CHUNKS_AT_ONCE) await trx("exports").where("id", found.id).delete();
  return false;
}
