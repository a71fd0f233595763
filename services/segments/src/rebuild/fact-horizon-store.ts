// Stores fact horizons: every statement against `fact_horizons`. A horizon is the instant from which on a
// fact is complete, for facts first counted after retention had removed raw events. Profiles without the fact
// have no other record of it.
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction } from "@muster/db";

const COLUMNS = ["organization_id", "fact_key", "complete_since_ms"] as const;
const KEY = ["organization_id", "fact_key"] as const;

/** For facts that were counted from the remaining raw events alone. */
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

/** By fact key. Facts that were counted from the beginning are missing. */
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
