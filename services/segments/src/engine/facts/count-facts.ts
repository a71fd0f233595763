// Counts one profile's events of one matcher: exact, and bounded in size for any number of events.

/** When an event happened, and the id of the event. */
export type EventInstant = readonly [ms: number, eventId: string];

export interface CountFacts {
  readonly kind: "count";
  total: number;
  /** The earliest event. Ties are ordered by event id, as in `newest`. */
  first: EventInstant | undefined;
  /**
   * Newest first, ties ordered by event id.
   * Invariant: always the newest events, without gaps. Rules decide how many are kept.
   */
  readonly newest: EventInstant[];
}

export function emptyCountFacts(): CountFacts {
  return { kind: "count", total: 0, first: undefined, newest: [] };
}

/** Counts a past event, in order or late, and keeps the `depth` newest instants. */
export function applyToCountFacts(facts: CountFacts, instant: EventInstant, depth: number): void {
  const { newest } = facts;
  let index = 0;
  for (let other = newest[index]; other !== undefined && isNewer(other, instant); other = newest[index]) {
    index += 1;
  }
  // Events that were dropped may be newer than this late event: then its position is unknown.
  const isPositionKnown = index < newest.length || facts.total === newest.length;
  if (isPositionKnown) newest.splice(index, 0, instant);
  if (newest.length > depth) newest.length = depth;
  facts.total += 1;
  if (facts.first === undefined || isNewer(facts.first, instant)) facts.first = instant;
}

/** The n-th newest instant; undefined when there are fewer events, or when the instant was not kept. */
export function nthNewest(facts: CountFacts, n: number): EventInstant | undefined {
  return facts.newest[n - 1];
}

/** Number of kept instants at or after `startMs`. */
export function countSince({ newest }: CountFacts, startMs: number): number {
  let [low, high] = [0, newest.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((newest[middle]?.[0] ?? Number.NEGATIVE_INFINITY) >= startMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isNewer(a: EventInstant, b: EventInstant): boolean {
  return a[0] !== b[0] ? a[0] > b[0] : a[1] > b[1];
}
