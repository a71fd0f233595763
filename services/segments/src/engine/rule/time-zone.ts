// Converts between instants and calendar days of a time zone, including changes of daylight saving time.

/** Days since 1970-01-01 in the zone's calendar. */
export type DayNumber = number;

const DAY_MS = 86_400_000;
/** Larger than every offset that any zone ever had. */
const OFFSET_MS_MAX = 16 * 3_600_000;
/** Most cached day starts of one zone. */
const CACHED_STARTS_MAX = 4096;

/** Most cached zones. Fewer zones exist, but the case of a name varies. */
const CACHED_ZONES_MAX = 1000;

const zones = new Map<string, Zone>();

/**
 * The first instant of a day: usually midnight, later where clocks skip midnight. A day that a zone skipped
 * starts and ends where the next day starts.
 */
export function startOfDay(timeZone: string, day: DayNumber): number {
  return zoneOf(timeZone).startOf(day);
}

/** Invariant: the day with the last start at or before `ms`, so that days never run backwards. */
export function dayOf(timeZone: string, ms: number): DayNumber {
  const zone = zoneOf(timeZone);
  let day = Math.floor(ms / DAY_MS) + 1;
  while (zone.startOf(day) > ms) day -= 1;
  return day;
}

class Zone {
  readonly #format: Intl.DateTimeFormat;
  readonly #starts = new Map<DayNumber, number>();

  constructor(timeZone: string) {
    this.#format = formatOf(timeZone);
  }

  startOf(day: DayNumber): number {
    const known = this.#starts.get(day);
    if (known !== undefined) return known;
    const startMs = this.#find(day);
    if (this.#starts.size >= CACHED_STARTS_MAX) this.#starts.clear();
    this.#starts.set(day, startMs);
    return startMs;
  }

  #find(day: DayNumber): number {
    const midnightMs = day * DAY_MS;
    // Correct unless the offset changes nearby.
    const guessMs = midnightMs - this.#offsetMs(midnightMs - this.#offsetMs(midnightMs));
    if (this.#isReached(day, guessMs) && !this.#isReached(day, guessMs - 1)) return guessMs;
    let beforeMs = midnightMs - OFFSET_MS_MAX;
    let reachedMs = midnightMs + OFFSET_MS_MAX + DAY_MS;
    while (reachedMs - beforeMs > 1) {
      const middleMs = Math.floor((beforeMs + reachedMs) / 2);
      if (this.#isReached(day, middleMs)) reachedMs = middleMs;
      else beforeMs = middleMs;
    }
    return reachedMs;
  }

  #isReached(day: DayNumber, ms: number): boolean {
    return ms + this.#offsetMs(ms) >= day * DAY_MS;
  }

  /** Local time minus UTC. */
  #offsetMs(ms: number): number {
    const wholeMs = Math.floor(ms / 1000) * 1000;
    const parts = new Map(this.#format.formatToParts(wholeMs).map(({ type, value }) => [type, value]));
    const read = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type));
    const dateMs = Date.UTC(read("year"), read("month") - 1, read("day"));
    const shown = dateMs + ((read("hour") * 60 + read("minute")) * 60 + read("second")) * 1000;
    return shown - wholeMs;
  }
}

function zoneOf(timeZone: string): Zone {
  const known = zones.get(timeZone);
  if (known !== undefined) return known;
  const zone = new Zone(timeZone);
  if (zones.size >= CACHED_ZONES_MAX) zones.clear();
  zones.set(timeZone, zone);
  return zone;
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "iso8601",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
}
