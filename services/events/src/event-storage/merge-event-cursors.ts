// Merges the ordered sort keys of several profiles into one order. Each profile is read ahead a little, and
// the buffered keys are bounded by a few statements.
import { chunksOf, type ProfileId } from "@muster/core";
import type { Queryable } from "@muster/db";
import {
  type CursorFilter,
  compareEventCursors,
  type EventCursor,
  listEventCursors,
} from "./event-cursor-store.ts";

/** Maximum number of profiles in one statement. */
const PROFILES_AT_ONCE = 50;
/** Sort keys that are read ahead for each profile, and the total for many profiles. */
const READ_AHEAD_MIN = 32;
const READ_AHEAD_MAX = 1000;
const READ_AHEAD_TOTAL = 8000;

interface Source {
  readonly profileId: ProfileId;
  /** Sort keys that were read and not yet returned. */
  buffered: EventCursor[];
  last: EventCursor | undefined;
  isExhausted: boolean;
}

/** Yields runs of sort keys in order. `expectedCount` is the number of keys that the caller is expected to use. */
export async function* mergeEventCursors(
  db: Queryable,
  filter: CursorFilter & { readonly after: EventCursor | undefined },
  profileIds: readonly ProfileId[],
  expectedCount: number,
): AsyncGenerator<EventCursor[]> {
  const compare = compareEventCursors(filter.order);
  const fairShare = Math.floor(READ_AHEAD_TOTAL / Math.max(1, profileIds.length));
  const limit = Math.max(READ_AHEAD_MIN, Math.min(READ_AHEAD_MAX, expectedCount, fairShare));
  let sources = profileIds.map(
    (profileId): Source => ({ profileId, buffered: [], last: filter.after, isExhausted: false }),
  );
  while (sources.length > 0) {
    await readAhead(db, filter, sources, limit);
    // Every unread key of a profile comes after the last buffered key of this profile. Keys up to the
    // smallest of these last keys are therefore complete.
    const ends = sources.flatMap(({ isExhausted, last }) =>
      isExhausted || last === undefined ? [] : [last],
    );
    const [end] = ends.sort(compare);
    const run: EventCursor[] = [];
    for (const source of sources) {
      const taken =
        end === undefined ? source.buffered : source.buffered.filter((cursor) => compare(cursor, end) <= 0);
      source.buffered = source.buffered.slice(taken.length);
      for (const cursor of taken) run.push(cursor);
    }
    sources = sources.filter(({ isExhausted, buffered }) => !isExhausted || buffered.length > 0);
    if (run.length > 0) yield run.sort(compare);
  }
}

async function readAhead(
  db: Queryable,
  filter: CursorFilter,
  sources: readonly Source[],
  limit: number,
): Promise<void> {
  const empty = sources.filter(({ buffered, isExhausted }) => buffered.length === 0 && !isExhausted);
  for (const some of chunksOf(empty, PROFILES_AT_ONCE)) {
    const requested = some.map(({ profileId, last }) => ({ profileId, after: last }));
    const found = await listEventCursors(db, filter, requested, limit);
    for (const source of some) {
      source.buffered = found.get(source.profileId) ?? [];
      source.last = source.buffered.at(-1) ?? source.last;
      source.isExhausted = source.buffered.length < limit;
    }
  }
}
