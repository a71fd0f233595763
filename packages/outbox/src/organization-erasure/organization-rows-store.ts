// Deletes the rows of an organization from any table, in bounded steps.
import { ALL_SHARDS, type OrganizationId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";

/** A table with the column `organization_id`. */
export interface OrganizationTable {
  readonly table: string;
  /** The primary key. Invariant: an index begins with the organization, or with the shard and the organization. */
  readonly key: readonly string[];
}

export const ROWS_AT_ONCE = 500;

/** Returns the number of deleted rows; fewer than {@link ROWS_AT_ONCE} at the end. */
export async function deleteRows(
  trx: Transaction,
  { table, key }: OrganizationTable,
  organizationId: OrganizationId,
): Promise<number> {
  const ofOrganization = { organization_id: uuidToBytes(organizationId) };
  const query = trx(table)
    .select<Record<string, Buffer | number>[]>(...key)
    .where(ofOrganization)
    .limit(ROWS_AT_ONCE);
  if (key[0] === "shard") query.whereIn("shard", [...ALL_SHARDS]);
  const rows = await query;
  if (rows.length === 0) return 0;
  const keys = rows.map((row) => key.map((column) => row[column] as Buffer | number));
  return trx(table)
    .where(ofOrganization)
    .whereIn([...key], keys)
    .delete();
}
