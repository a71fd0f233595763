// Stores event counts per profile and event name: every statement against `event_counts`.
import { bytesToUuid, chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { insertRows, type Queryable, type Transaction, type Value } from "@muster/db";
import type { TrackedEvent } from "../event-storage/tracked-event.ts";
import { UuidBytesCache } from "../event-storage/uuid-bytes-cache.ts";
import type { EventCount } from "./points.ts";

const COLUMNS = ["organization_id", "profile_id", "name", "count"];
const KEY = ["organization_id", "profile_id", "name"];
/** Profiles in one statement. */
const PROFILES_MAX = 250;
/** Names in one statement. For more names, the statement reads all names of the profiles. */
const NAMES_MAX = 16;

interface Count {
  readonly event: TrackedEvent;
  count: number;
}

/**
 * Counts new events for the recorded profiles. The upserts read no rows first, so concurrent counts are not
 * lost.
 */
export async function addCounts(trx: Transaction, events: readonly TrackedEvent[]): Promise<void> {
  const counts = new Map<string, Count>();
  for (const event of events) {
    const key = `${event.organizationId}/${event.profileId}/${event.name}`;
    const existing = counts.get(key);
    if (existing === undefined) counts.set(key, { event, count: 1 });
    else existing.count += 1;
  }
  const bytes = new UuidBytesCache();
  const rows = Array.from(counts.values(), ({ event, count }): [Buffer, Buffer, Buffer, number] => [
    bytes.uuid(event.organizationId),
    bytes.uuid(event.profileId),
    bytes.text(event.name),
    count,
  ]);
  rows.sort((a, b) => Buffer.compare(a[0], b[0]) || Buffer.compare(a[1], b[1]) || Buffer.compare(a[2], b[2]));
  await insertRows(trx, "event_counts", COLUMNS, rows satisfies Value[][], { add: ["count"] }, KEY);
}

/**
 * Returns how many events with these names each profile has. Profiles and names without events are omitted.
 */
export async function listCounts(
  db: Queryable,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
  names: ReadonlySet<string>,
): Promise<EventCount[]> {
  const found: EventCount[] = [];
  if (names.size === 0) return found;
  for (const ids of chunksOf(profileIds, PROFILES_MAX)) {
    const query = db("event_counts")
      .select<{ profile_id: Buffer; name: Buffer; count: number }[]>("profile_id", "name", "count")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("profile_id", ids.map(uuidToBytes));
    if (names.size <= NAMES_MAX) {
      query.whereIn(
        "name",
        Array.from(names, (name) => Buffer.from(name)),
      );
    }
    for (const row of await query) {
      const name = row.name.toString();
      if (!names.has(name)) continue;
      found.push({ profileId: bytesToUuid(row.profile_id), name, count: Number(row.count) });
    }
  }
  return found;
}
