// Calendar days of a time zone, daylight saving and all: which day an instant is in, and when a day begins.

/** Days since 1970-01-01, by the calendar of the zone. */
export type DayNumber = number;

const DAY_MS = 86_400_000;
/** No zone was ever further from UTC. */
const OFFSET_MS_MAX = 16 * 3_600_000;
/** Starts of days remembered for each zone. */
const REMEMBERED_MAX = 4096;

/** More than there are; but names may be written in many ways. */
const ZONES_MAX = 1000;

const zones = new Map<string, Zone>();

export function isTimeZone(name: string): boolean {
  try {
    return formatOf(name) !== undefined;
  } catch {
    return false;
  }
}

/**
 * The first instant of a day: mostly midnight, later where clocks skip it. A day that a zone left out
 * begins, and ends, where the next one does.
 */
export function startOfDay(timeZone: string, day: DayNumber): number {
  return zoneOf(timeZone).startOf(day);
}

/** Invariant: the day whose start is the last one not after `ms`, so that days never run backwards. */
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
    if (this.#starts.size >= REMEMBERED_MAX) this.#starts.clear();
    this.#starts.set(day, startMs);
    return startMs;
  }

  #find(day: DayNumber): number {
    const midnightMs = day * DAY_MS;
    // Right unless the offset changes close by.
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

  /** What clocks show, less UTC. */
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
  if (zones.size >= ZONES_MAX) zones.clear();
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
