// Stores event counts per profile and event name: every statement against `event_counts`.
import {
  bytesToUuid,
  chunksOf,
  type OrganizationId,
  type ProfileId,
  uuidToBytes,
  type WorkBudget,
} from "@muster/core";
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
/** Rows in one statement. */
const ROWS_AT_ONCE = 5000;
/** Estimated processor time to read one row, in units of a budget. */
const ROW_UNITS = 2;

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

/** The counts to read. */
export interface CountRequest {
  readonly organizationId: OrganizationId;
  readonly profileIds: readonly ProfileId[];
  readonly names: ReadonlySet<string>;
  readonly budget: WorkBudget;
}

/**
 * Returns how many events with these names each profile has. Profiles and names without events are omitted.
 * A profile may have any number of other names, so many rows come in pages.
 */
export async function listCounts(
  db: Queryable,
  { organizationId, profileIds, names, budget }: CountRequest,
): Promise<EventCount[]> {
  const found: EventCount[] = [];
  if (names.size === 0) return found;
  const add = async (rows: readonly CountRow[]): Promise<void> => {
    for (const row of rows) {
      budget.spend(ROW_UNITS);
      if (budget.isSliceOver) await budget.turn();
      const name = row.name.toString();
      if (!names.has(name)) continue;
      found.push({ profileId: bytesToUuid(row.profile_id), name, count: Number(row.count) });
    }
  };
  const select = (ids: readonly Buffer[]) => {
    const query = selectCounts(db, organizationId, ids);
    const isShort = names.size <= NAMES_MAX;
    return isShort
      ? query.whereIn(
          "name",
          Array.from(names, (name) => Buffer.from(name)),
        )
      : query;
  };
  for (const ids of chunksOf(profileIds, PROFILES_MAX)) {
    const bytes = ids.map(uuidToBytes);
    const rows = await select(bytes).limit(ROWS_AT_ONCE);
    if (rows.length < ROWS_AT_ONCE) await add(rows);
    else for (const id of bytes) await addPages(() => select([id]), add);
  }
  return found;
}

interface CountRow {
  readonly profile_id: Buffer;
  readonly name: Buffer;
  readonly count: number;
}

function selectCounts(db: Queryable, organizationId: OrganizationId, profileIds: readonly Buffer[]) {
  return db("event_counts")
    .select<CountRow[]>("profile_id", "name", "count")
    .where("organization_id", uuidToBytes(organizationId))
    .whereIn("profile_id", [...profileIds]);
}

/** Adds the counts of one profile in pages, by name. */
async function addPages(
  select: () => ReturnType<typeof selectCounts>,
  add: (rows: readonly CountRow[]) => Promise<void>,
): Promise<void> {
  for (let after: Buffer | undefined; ; ) {
    const query = select().orderBy(["organization_id", "profile_id", "name"]).limit(ROWS_AT_ONCE);
    const rows: CountRow[] = await (after === undefined ? query : query.where("name", ">", after));
    await add(rows);
    after = rows.at(-1)?.name;
    if (rows.length < ROWS_AT_ONCE) return;
  }
}
