// Reads the raw events of many profile groups, group by group, each group's events by (occurred_ms, id).
// Memory is bounded by about one statement's result.
import { bytesToUuid, chunksOf, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { IN_LIST_VALUES_MAX, type Transaction } from "@muster/db";
import { compareEventCursors, getEventsAt } from "../event-storage/event-cursor-store.ts";
import { type EventRow, type ScanCursor, scanEvents } from "../event-storage/event-store.ts";
import { mergeEventCursors } from "../event-storage/merge-event-cursors.ts";
import type { Profile } from "../profile-storage/profile.ts";

/** Maximum number of events in a statement; fewer if the events are large. */
const STATEMENT_EVENTS_MAX = 1000;
const STATEMENT_EVENTS_MIN = 32;
const STATEMENT_BYTES_AIM = 4 * 1024 * 1024;
/** Number of events of a large group that one statement fetches by sort key. */
const EVENTS_AT_ONCE = 200;

/** A profile group whose events are read. */
export interface ScanTarget {
  /** The visible profile. */
  readonly profile: Profile;
  /** Ids of all linked profiles, the root included. */
  readonly profileIds: readonly ProfileId[];
}

export interface EventReader {
  onEvent(target: ScanTarget, row: EventRow): Promise<void>;
  /** Called before the events of a target that do not fit into one statement; true ends the reading. */
  endsBefore(target: ScanTarget): Promise<boolean>;
}

/** Passes the events of each target to the reader, target by target. An empty list of names selects all events. */
export async function readProfileEvents(
  trx: Transaction,
  organizationId: OrganizationId,
  targets: readonly ScanTarget[],
  names: readonly Buffer[],
  reader: EventReader,
): Promise<void> {
  const scan: Scan = { trx, organizationId, names, reader };
  if (targets.every(({ profileIds }) => profileIds.length === 1)) return readByProfile(scan, targets);
  let targetsAtOnce = IN_LIST_VALUES_MAX;
  for (let start = 0; start < targets.length; ) {
    const chunk = chunkOf(targets, start, targetsAtOnce);
    const isRead = await readTogether(scan, chunk);
    const [first] = chunk;
    if (!isRead && chunk.length === 1 && first !== undefined) {
      if (await reader.endsBefore(first)) return;
      await readLarge(scan, first);
    }
    if (isRead || chunk.length === 1) start += chunk.length;
    targetsAtOnce = isRead ? 2 * targetsAtOnce : Math.ceil(chunk.length / 2);
  }
}

interface Scan {
  readonly trx: Transaction;
  readonly organizationId: OrganizationId;
  readonly names: readonly Buffer[];
  readonly reader: EventReader;
}

/** Returns the groups from `start` whose profiles fit into one statement; at least one group. */
function chunkOf(targets: readonly ScanTarget[], start: number, countMax: number): ScanTarget[] {
  const chunk: ScanTarget[] = [];
  let profiles = 0;
  for (const target of targets.slice(start, start + countMax)) {
    profiles += target.profileIds.length;
    if (profiles > IN_LIST_VALUES_MAX && chunk.length > 0) break;
    chunk.push(target);
  }
  return chunk;
}

/** Reads groups of a single profile by an index scan, in pages of adaptive size. */
async function readByProfile(scan: Scan, targets: readonly ScanTarget[]): Promise<void> {
  const byId = new Map(targets.map((target) => [target.profile.id, target]));
  let profileIds = Array.from(byId.keys(), uuidToBytes);
  let after: ScanCursor | undefined;
  let limit = STATEMENT_EVENTS_MAX;
  let large: ScanTarget | undefined;
  while (profileIds.length > 0 || after !== undefined) {
    const range = after ? { after } : { profileIds };
    const rows = await scanEvents(scan.trx, scan.organizationId, range, scan.names, limit);
    let bytes = 0;
    const last = rows.at(-1);
    const cut = last && rows.length === limit ? byId.get(bytesToUuid<ProfileId>(last.profile_id)) : undefined;
    for (const row of rows) {
      bytes += row.properties.length;
      const target = byId.get(bytesToUuid<ProfileId>(row.profile_id));
      if (target === undefined) continue;
      if (target === cut && target !== large) {
        large = target;
        if (await scan.reader.endsBefore(target)) return;
      }
      await scan.reader.onEvent(target, row);
    }
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
 * Reads all events of the chunk at once, because a person with many linked profiles often has few events. Returns
 * false without events if the result would be too large.
 */
async function readTogether(scan: Scan, chunk: readonly ScanTarget[]): Promise<boolean> {
  const owners = new Map<ProfileId, ScanTarget>();
  for (const target of chunk) for (const id of target.profileIds) owners.set(id, target);
  const rows: EventRow[] = [];
  for (const ids of chunksOf(Array.from(owners.keys()).sort(), IN_LIST_VALUES_MAX)) {
    const range = { profileIds: ids.map(uuidToBytes) };
    const limit = STATEMENT_EVENTS_MAX - rows.length;
    rows.push(...(await scanEvents(scan.trx, scan.organizationId, range, scan.names, limit)));
    if (rows.length >= STATEMENT_EVENTS_MAX) return false;
  }
  const byTarget = Map.groupBy(rows, (row) => owners.get(bytesToUuid<ProfileId>(row.profile_id)));
  for (const target of chunk) {
    for (const row of (byTarget.get(target) ?? []).sort(compareRows)) await scan.reader.onEvent(target, row);
  }
  return true;
}

async function readLarge(scan: Scan, target: ScanTarget): Promise<void> {
  const { trx, organizationId, names } = scan;
  if (target.profileIds.length === 1) return readByProfile(scan, [target]);
  const filter = { organizationId, names, order: "asc" as const, after: undefined };
  for await (const run of mergeEventCursors(trx, filter, target.profileIds, STATEMENT_EVENTS_MAX)) {
    for (const cursors of chunksOf(run, EVENTS_AT_ONCE)) {
      const rows = await getEventsAt(trx, organizationId, cursors);
      for (const row of rows) await scan.reader.onEvent(target, row);
    }
  }
}

const inOrder = compareEventCursors("asc");

function compareRows(a: EventRow, b: EventRow): number {
  return inOrder(cursorOf(a), cursorOf(b));
}

function cursorOf({ occurred_ms, event_id }: EventRow) {
  return { occurredMs: Number(occurred_ms), eventId: event_id };
}
