// Stores keyed hashes of erased events: every statement against `erased_events` and `organizations_with_erasures`.
import { bytesToUuid, chunksOf, type OrganizationId, uuidToBytes } from "@muster/core";
import { IN_LIST_VALUES_MAX, insertRows, type Queryable, type Transaction } from "@muster/db";
import { incrementErasuresVersion } from "../identity-graph/identity-versions-store.ts";

/** Stores hashes, so that ingest rejects the events when they are sent again. */
export async function insertHashes(
  trx: Transaction,
  organizationId: OrganizationId,
  hashes: readonly Buffer[],
): Promise<void> {
  if (hashes.length === 0) return;
  const organization = uuidToBytes(organizationId);
  const rows = [...hashes].sort(Buffer.compare).map((hash) => [organization, hash]);
  const key = ["organization_id", "event_hash"];
  await insertRows(trx, "erased_events", key, rows, "keep", key);
  await incrementErasuresVersion(trx);
}

/** Marks the organization, so that ingest compares new events with erased events. */
export async function markOrganizationWithErasures(
  trx: Transaction,
  organizationId: OrganizationId,
): Promise<void> {
  const known = await trx("organizations_with_erasures")
    .select("organization_id")
    .where("organization_id", uuidToBytes(organizationId));
  if (known.length > 0) return;
  const key = ["organization_id"];
  await insertRows(trx, "organizations_with_erasures", key, [[uuidToBytes(organizationId)]], "keep", key);
  await incrementErasuresVersion(trx);
}

/** Returns the organizations that erased a person at least once. */
export async function listOrganizationsWithErasures(
  db: Queryable,
  organizationIds: readonly OrganizationId[],
): Promise<OrganizationId[]> {
  const rows: { organization_id: Buffer }[] = await db("organizations_with_erasures")
    .select("organization_id")
    .whereIn("organization_id", organizationIds.map(uuidToBytes));
  return rows.map((row) => bytesToUuid<OrganizationId>(row.organization_id));
}

/** Returns the hashes of erased events, in base64. */
export async function findErased(
  db: Queryable,
  organizationId: OrganizationId,
  hashes: readonly Buffer[],
): Promise<Set<string>> {
  const found = new Set<string>();
  for (const some of chunksOf(hashes, IN_LIST_VALUES_MAX)) {
    const rows: { event_hash: Buffer }[] = await db("erased_events")
      .select("event_hash")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("event_hash", some);
    for (const { event_hash } of rows) found.add(event_hash.toString("base64"));
  }
  return found;
}
