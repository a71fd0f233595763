// What is known of one profile's events of one matcher: exact, and small however many they are.

/** When an event happened, and which it was. */
export type Instant = readonly [ms: number, eventId: string];

export interface Facts {
  total: number;
  firstMs: number;
  lastMs: number;
  /**
   * Newest first, ties by event id.
   * Invariant: always the true newest ones, without a hole; how many are kept follows what rules ask.
   */
  newest: Instant[];
}

export function emptyFacts(): Facts {
  return { total: 0, firstMs: Number.POSITIVE_INFINITY, lastMs: Number.NEGATIVE_INFINITY, newest: [] };
}

/** Counts an event that has happened, whether it comes in order or late. Keeps `depth` instants. */
export function applyEvent(facts: Facts, instant: Instant, depth: number): void {
  const [ms] = instant;
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
  if (ms < facts.firstMs) facts.firstMs = ms;
  if (ms > facts.lastMs) facts.lastMs = ms;
}

/** The n-th newest instant; undefined when there are fewer, or when it was not kept. */
export function nthNewest(facts: Facts, n: number): Instant | undefined {
  return facts.newest[n - 1];
}

function isNewer(a: Instant, b: Instant): boolean {
  return a[0] !== b[0] ? a[0] > b[0] : a[1] > b[1];
}
