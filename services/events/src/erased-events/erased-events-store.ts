// Deletes the raw events of a profile and stores a keyed hash of each event id, which detects re-sent events.
import {
  bytesToUuid,
  type OrganizationId,
  type ProfileId,
  type TrackedEventId,
  uuidToBytes,
} from "@muster/core";
import { forUpdate, insertRows, type Queryable, type Transaction } from "@muster/db";
import { datedEventId } from "../event-storage/tracked-event.ts";
import { incrementErasuresVersion } from "../identity-graph/identity-versions-store.ts";
import type { EventHasher } from "./event-hash.ts";

interface ErasedRow {
  readonly day: number;
  readonly event_id: Buffer;
  readonly client_event_id: Buffer | null;
  readonly occurred_ms: number;
}

/** The counts of one step. */
export interface ErasedEvents {
  readonly found: number;
  readonly events: number;
  readonly undatedIds: number;
}

/**
 * Erases up to `limit` events. Invariant: the row, the hash and the erasures version change in one
 * transaction. A transaction that no longer finds the row finds the hash, or a changed version.
 */
export async function eraseEvents(
  trx: Transaction,
  hasher: EventHasher,
  { organizationId, profileId }: { readonly organizationId: OrganizationId; readonly profileId: ProfileId },
  limit: number,
): Promise<ErasedEvents> {
  const organization = uuidToBytes(organizationId);
  const query = trx("tracked_events")
    .select<ErasedRow[]>("day", "event_id", "client_event_id", "occurred_ms")
    .where({ organization_id: organization, profile_id: uuidToBytes(profileId) })
    .orderBy(["occurred_ms", "event_id"])
    .limit(limit);
  const rows = await forUpdate(trx, query);
  const undated: ErasedRow[] = [];
  const hashes: Buffer[] = [];
  for (const row of rows) {
    if (row.client_event_id === null) continue;
    const clientEventId = row.client_event_id.toString();
    const id = bytesToUuid<TrackedEventId>(row.event_id);
    const isDated = datedEventId(organizationId, clientEventId, Number(row.occurred_ms)) === id;
    if (!isDated) undated.push(row);
    hashes.push(isDated ? hasher.dated(organizationId, id) : hasher.undated(organizationId, clientEventId));
  }
  if (hashes.length > 0) await keepHashes(trx, organization, hashes);
  const undatedIds = await deleteUndatedIds(trx, organization, undated);
  let events = 0;
  for (const [day, ofDay] of [...Map.groupBy(rows, (row) => row.day)].sort(([a], [b]) => a - b)) {
    events += await trx("tracked_events")
      .where({ organization_id: organization, day })
      .whereIn("event_id", ofDay.map((row) => row.event_id).sort(Buffer.compare))
      .delete();
  }
  return { found: rows.length, events, undatedIds };
}

async function keepHashes(trx: Transaction, organization: Buffer, hashes: readonly Buffer[]): Promise<void> {
  const rows = [...hashes].sort(Buffer.compare).map((hash) => [organization, hash]);
  const key = ["organization_id", "event_hash"];
  await insertRows(trx, "erased_events", key, rows, "keep", key);
  await incrementErasuresVersion(trx);
}

async function deleteUndatedIds(
  trx: Transaction,
  organization: Buffer,
  rows: readonly ErasedRow[],
): Promise<number> {
  if (rows.length === 0) return 0;
  const clientIds = rows.flatMap((row) => row.client_event_id ?? []);
  return (
    trx("undated_event_ids")
      .where("organization_id", organization)
      .whereIn("client_event_id", clientIds.sort(Buffer.compare))
      // The client id can belong to another, later event.
      .whereIn(
        "event_id",
        rows.map((row) => row.event_id),
      )
      .delete()
  );
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

/** Hashes in one statement, below the size at which MariaDB converts IN lists to temporary tables. */
const LOOKUP_CHUNK = 500;

/** Returns the hashes of erased events, in base64. */
export async function findErased(
  db: Queryable,
  organizationId: OrganizationId,
  hashes: readonly Buffer[],
): Promise<Set<string>> {
  const found = new Set<string>();
  for (let start = 0; start < hashes.length; start += LOOKUP_CHUNK) {
    const rows: { event_hash: Buffer }[] = await db("erased_events")
      .select("event_hash")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("event_hash", hashes.slice(start, start + LOOKUP_CHUNK));
    for (const { event_hash } of rows) found.add(event_hash.toString("base64"));
  }
  return found;
}
