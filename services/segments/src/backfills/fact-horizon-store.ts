// Every statement against `fact_horizons`: since when a kind of fact is complete that was first counted when
// retention had removed raw events. Of profiles that have no such fact nothing else says so.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";

const COLUMNS = ["organization_id", "fact_key", "complete_since_ms"] as const;
const KEY = ["organization_id", "fact_key"] as const;

/** Of facts that are counted from the raw events alone. */
export async function saveFactHorizons(
  trx: Transaction,
  organizationId: OrganizationId,
  factKeys: readonly string[],
  completeSinceMs: number,
): Promise<void> {
  const rows = factKeys
    .map((key) => Buffer.from(key, "utf8"))
    .sort(Buffer.compare)
    .map((key) => [uuidToBytes(organizationId), key, completeSinceMs]);
  await insertRows(trx, "fact_horizons", COLUMNS, rows, { overwrite: ["complete_since_ms"] }, KEY);
}

/** By the facts' keys; a kind that has been counted from the beginning is not named. */
export async function readFactHorizons(
  db: Queryable,
  organizationId: OrganizationId,
  factKeys: readonly string[],
): Promise<Map<string, number>> {
  if (factKeys.length === 0) return new Map();
  const rows = await db("fact_horizons")
    .select<{ fact_key: Buffer; complete_since_ms: number }[]>("fact_key", "complete_since_ms")
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn(
      "fact_key",
      factKeys.map((key) => Buffer.from(key, "utf8")),
    );
  return new Map(rows.map((row) => [row.fact_key.toString("utf8"), row.complete_since_ms]));
}
