// Deletes the raw events of a profile and stores a keyed hash of each event id, which detects re-sent events.
import { bytesToUuid, type OrganizationId, type ProfileId, type TrackedEventId } from "@muster/core";
import type { Transaction } from "@muster/db";
import {
  deleteEventsOfDay,
  deleteUndatedIds,
  lockEventsOfProfile,
  type ProfileEventKey,
} from "../event-storage/event-deletion-store.ts";
import { datedEventId } from "../event-storage/tracked-event.ts";
import { insertHashes } from "./erased-events-store.ts";
import type { EventHasher } from "./event-hash.ts";

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
  const rows = await lockEventsOfProfile(trx, organizationId, profileId, limit);
  const undated: ProfileEventKey[] = [];
  const hashes: Buffer[] = [];
  for (const row of rows) {
    if (row.client_event_id === null) continue;
    const clientEventId = row.client_event_id.toString();
    const id = bytesToUuid<TrackedEventId>(row.event_id);
    const isDated = datedEventId(organizationId, clientEventId, Number(row.occurred_ms)) === id;
    if (!isDated) undated.push(row);
    hashes.push(isDated ? hasher.dated(organizationId, id) : hasher.undated(organizationId, clientEventId));
  }
  await insertHashes(trx, organizationId, hashes);
  const undatedIds = await deleteUndatedIds(
    trx,
    organizationId,
    undated.flatMap((row) => row.client_event_id ?? []),
    undated.map((row) => row.event_id),
  );
  let events = 0;
  for (const [day, dayRows] of [...Map.groupBy(rows, (row) => row.day)].sort(([a], [b]) => a - b)) {
    const ids = dayRows.map((row) => row.event_id).sort(Buffer.compare);
    events += await deleteEventsOfDay(trx, organizationId, day, ids);
  }
  return { found: rows.length, events, undatedIds };
}
