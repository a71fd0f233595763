// Merges the ordered sort keys of several profiles into one order. Each profile is read ahead a little, and
// the buffered keys are bounded by a few statements.
import type { ProfileId } from "@muster/core";
import type { Queryable } from "@muster/db";
import { comparePlaces, type EventPlace, listPlaces, type PlaceFilter } from "./event-keys-store.ts";

/** Maximum number of profiles in one statement. */
const PROFILES_AT_ONCE = 50;
/** Sort keys that are read ahead for each profile, and the total for many profiles. */
const AHEAD_MIN = 32;
const AHEAD_MAX = 1000;
const AHEAD_OF_ALL = 8000;

interface Source {
  readonly profileId: ProfileId;
  /** Sort keys that were read and not yet returned. */
  ahead: EventPlace[];
  last: EventPlace | undefined;
  isRead: boolean;
}

/** Yields runs of sort keys in order. `wanted` is the expected number of keys that the caller will use. */
export async function* mergedPlaces(
  db: Queryable,
  filter: PlaceFilter & { readonly after: EventPlace | undefined },
  profileIds: readonly ProfileId[],
  wanted: number,
): AsyncGenerator<EventPlace[]> {
  const compare = comparePlaces(filter.order);
  const fair = Math.floor(AHEAD_OF_ALL / Math.max(1, profileIds.length));
  const limit = Math.max(AHEAD_MIN, Math.min(AHEAD_MAX, wanted, fair));
  let sources = profileIds.map(
    (profileId): Source => ({ profileId, ahead: [], last: filter.after, isRead: false }),
  );
  while (sources.length > 0) {
    await readAhead(db, filter, sources, limit);
    // Every unread key of a profile comes after the last buffered key of this profile. Keys up to the
    // smallest of these last keys are therefore complete.
    const ends = sources.flatMap(({ isRead, last }) => (isRead || last === undefined ? [] : [last]));
    const [end] = ends.sort(compare);
    const run: EventPlace[] = [];
    for (const source of sources) {
      const taken =
        end === undefined ? source.ahead : source.ahead.filter((place) => compare(place, end) <= 0);
      source.ahead = source.ahead.slice(taken.length);
      for (const place of taken) run.push(place);
    }
    sources = sources.filter(({ isRead, ahead }) => !isRead || ahead.length > 0);
    if (run.length > 0) yield run.sort(compare);
  }
}

async function readAhead(
  db: Queryable,
  filter: PlaceFilter,
  sources: readonly Source[],
  limit: number,
): Promise<void> {
  const empty = sources.filter(({ ahead, isRead }) => ahead.length === 0 && !isRead);
  for (let start = 0; start < empty.length; start += PROFILES_AT_ONCE) {
    const some = empty.slice(start, start + PROFILES_AT_ONCE);
    const asked = some.map(({ profileId, last }) => ({ profileId, after: last }));
    const found = await listPlaces(db, filter, asked, limit);
    for (const source of some) {
      source.ahead = found.get(source.profileId) ?? [];
      source.last = source.ahead.at(-1) ?? source.last;
      source.isRead = source.ahead.length < limit;
    }
  }
}
