// Reads the raw events of many profile groups, group by group, each group's events by (occurred_ms, id).
// Memory is bounded by about one statement's result.
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Profile } from "../profiles/profile.ts";
import { comparePlaces, getEventsAt } from "../tracked-events/event-keys-store.ts";
import { type EventRow, type ScanCursor, scanEvents } from "../tracked-events/event-store.ts";
import { mergedPlaces } from "../tracked-events/merged-places.ts";

/** Maximum number of events in a statement; fewer if the events are large. */
const STATEMENT_EVENTS_MAX = 1000;
const STATEMENT_EVENTS_MIN = 32;
const STATEMENT_BYTES_AIM = 4 * 1024 * 1024;
/**
 * Maximum number of profiles in one statement: below the size at which MariaDB uses a temporary table for IN.
 */
const STATEMENT_PROFILES_MAX = 500;
/** Number of events of a large group that one statement fetches by sort key. */
const PLACES_AT_ONCE = 200;

export interface ScannedPerson {
  /** The visible profile. */
  readonly profile: Profile;
  /** Ids of all linked profiles, the root included. */
  readonly profileIds: readonly ProfileId[];
}

type Take = (person: ScannedPerson, row: EventRow) => Promise<void>;

export async function readEventsOfPeople(
  trx: Transaction,
  organizationId: OrganizationId,
  people: readonly ScannedPerson[],
  names: readonly Buffer[],
  take: Take,
): Promise<void> {
  const scan: Scan = { trx, organizationId, names, take };
  if (people.every(({ profileIds }) => profileIds.length === 1)) return readByProfile(scan, people);
  let peopleAtOnce = STATEMENT_PROFILES_MAX;
  for (let start = 0; start < people.length; ) {
    const group = groupOf(people, start, peopleAtOnce);
    const isRead = await readTogether(scan, group);
    const [first] = group;
    if (!isRead && group.length === 1 && first !== undefined) await readLarge(scan, first);
    if (isRead || group.length === 1) start += group.length;
    peopleAtOnce = isRead ? 2 * peopleAtOnce : Math.ceil(group.length / 2);
  }
}

interface Scan {
  readonly trx: Transaction;
  readonly organizationId: OrganizationId;
  readonly names: readonly Buffer[];
  readonly take: Take;
}

/** Returns the groups from `start` whose profiles fit into one statement; at least one group. */
function groupOf(people: readonly ScannedPerson[], start: number, countMax: number): ScannedPerson[] {
  const group: ScannedPerson[] = [];
  let profiles = 0;
  for (const person of people.slice(start, start + countMax)) {
    profiles += person.profileIds.length;
    if (profiles > STATEMENT_PROFILES_MAX && group.length > 0) break;
    group.push(person);
  }
  return group;
}

/** Reads groups of a single profile by an index scan, in pages of adaptive size. */
async function readByProfile(scan: Scan, people: readonly ScannedPerson[]): Promise<void> {
  const byId = new Map(people.map((person) => [person.profile.id, person]));
  let profileIds = Array.from(byId.keys(), uuidToBytes);
  let after: ScanCursor | undefined;
  let limit = STATEMENT_EVENTS_MAX;
  while (profileIds.length > 0 || after !== undefined) {
    const range = after ? { after } : { profileIds };
    const rows = await scanEvents(scan.trx, scan.organizationId, range, scan.names, limit);
    let bytes = 0;
    for (const row of rows) {
      bytes += row.properties.length;
      const person = byId.get(bytesToUuid<ProfileId>(row.profile_id));
      if (person !== undefined) await scan.take(person, row);
    }
    const last = rows.at(-1);
    if (rows.length < limit || last === undefined) {
      // The cursor's profile is complete; without a cursor all profiles are complete.
      if (after === undefined) return;
      after = undefined;
    } else {
      after = { profileId: last.profile_id, occurredMs: Number(last.occurred_ms), eventId: last.event_id };
      profileIds = profileIds.filter((id) => Buffer.compare(id, last.profile_id) > 0);
    }
    const perRow = bytes / Math.max(1, rows.length);
    const aim = Math.floor(STATEMENT_BYTES_AIM / (perRow + 1));
    limit = Math.max(STATEMENT_EVENTS_MIN, Math.min(STATEMENT_EVENTS_MAX, aim));
  }
}

/**
 * Reads all events of the chunk in one statement. Returns false without events if the result would be too
 * large.
 */
async function readTogether(scan: Scan, group: readonly ScannedPerson[]): Promise<boolean> {
  const owners = new Map<ProfileId, ScannedPerson>();
  for (const person of group) for (const id of person.profileIds) owners.set(id, person);
  if (owners.size > STATEMENT_PROFILES_MAX) return false;
  const range = { profileIds: Array.from(owners.keys()).sort().map(uuidToBytes) };
  const rows = await scanEvents(scan.trx, scan.organizationId, range, scan.names, STATEMENT_EVENTS_MAX);
  if (rows.length >= STATEMENT_EVENTS_MAX) return false;
  const byPerson = Map.groupBy(rows, (row) => owners.get(bytesToUuid<ProfileId>(row.profile_id)));
  for (const person of group) {
    for (const row of (byPerson.get(person) ?? []).sort(compareRows)) await scan.take(person, row);
  }
  return true;
}

async function readLarge(scan: Scan, person: ScannedPerson): Promise<void> {
  const { trx, organizationId, names } = scan;
  if (person.profileIds.length === 1) return readByProfile(scan, [person]);
  const filter = { organizationId, names, order: "asc" as const, after: undefined };
  for await (const run of mergedPlaces(trx, filter, person.profileIds, STATEMENT_EVENTS_MAX)) {
    for (let start = 0; start < run.length; start += PLACES_AT_ONCE) {
      const rows = await getEventsAt(trx, organizationId, run.slice(start, start + PLACES_AT_ONCE));
      for (const row of rows) await scan.take(person, row);
    }
  }
}

const inOrder = comparePlaces("asc");

function compareRows(a: EventRow, b: EventRow): number {
  return inOrder(placeOf(a), placeOf(b));
}

function placeOf({ occurred_ms, event_id }: EventRow) {
  return { occurredMs: Number(occurred_ms), eventId: event_id };
}
