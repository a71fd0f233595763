// What is known of one profile's events of one matcher: exact, and small however many they are.

/** When an event happened, and which it was. */
export type Instant = readonly [ms: number, eventId: string];

export interface Facts {
  readonly kind: "count";
  total: number;
  /** Ties by event id, as in `newest`. */
  first: Instant | undefined;
  /**
   * Newest first, ties by event id.
   * Invariant: always the true newest ones, without a hole; how many are kept follows what rules ask.
   */
  readonly newest: Instant[];
}

export function emptyFacts(): Facts {
  return { kind: "count", total: 0, first: undefined, newest: [] };
}

/** Counts an event that has happened, whether it comes in order or late. Keeps `depth` instants. */
export function applyEvent(facts: Facts, instant: Instant, depth: number): void {
  const { newest } = facts;
  let index = 0;
  for (let other = newest[index]; other !== undefined && isNewer(other, instant); other = newest[index]) {
    index += 1;
  }
  // Behind the last kept one there may be newer ones that were let go: then its place is not known.
  const placed = index < newest.length || facts.total === newest.length;
  if (placed) newest.splice(index, 0, instant);
  if (newest.length > depth) newest.length = depth;
  facts.total += 1;
  if (facts.first === undefined || isNewer(facts.first, instant)) facts.first = instant;
}

/** The n-th newest instant; undefined when there are fewer, or when it was not kept. */
export function nthNewest(facts: Facts, n: number): Instant | undefined {
  return facts.newest[n - 1];
}

/** How many of the kept ones are not before `startMs`. */
export function countSince({ newest }: Facts, startMs: number): number {
  let [low, high] = [0, newest.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((newest[middle]?.[0] ?? Number.NEGATIVE_INFINITY) >= startMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isNewer(a: Instant, b: Instant): boolean {
  return a[0] !== b[0] ? a[0] > b[0] : a[1] > b[1];
}
