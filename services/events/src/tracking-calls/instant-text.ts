// Parses instants of tracking clients: ISO 8601 with the variants that SDKs of many languages write. Pure.

const FIRST_MS = -62_135_596_800_000; // 0001-01-01T00:00:00.000Z
const LAST_MS = 253_402_300_799_999; // 9999-12-31T23:59:59.999Z

/** A date; an optional time with optional seconds; an optional zone, with or without colon and minutes. */
const LENIENT =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,30}))?)?)? ?([Zz]|[+-]\d\d(?::?\d\d)?)?$/;
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,30})?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Returns epoch ms, rounded down; undefined for an invalid text. A text without a zone is UTC. */
export function parseClientInstant(text: string): number | undefined {
  const match = LENIENT.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour = "0", minute = "0", second = "0", fraction = "", zone = "Z"] = match;
  const local = localMs(Number(year), Number(month), Number(day));
  const offset = offsetMs(zone);
  if (local === undefined || offset === undefined) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const timeMs = (Number(hour) * 3600 + Number(minute) * 60 + Number(second)) * 1000;
  return withinRange(local + timeMs + Number(fraction.slice(0, 3).padEnd(3, "0")) - offset);
}

/** Like parseClientInstant, but accepts RFC 3339 only. */
export function parseInstant(text: string): number | undefined {
  return RFC_3339.test(text) ? parseClientInstant(text) : undefined;
}

/** Returns the instant if it lies in the years 0001 to 9999, otherwise undefined. */
export function withinRange(ms: number): number | undefined {
  return ms >= FIRST_MS && ms <= LAST_MS ? ms : undefined;
}

/** Returns the start of the day in UTC as epoch ms; undefined for an invalid date. */
function localMs(year: number, month: number, day: number): number | undefined {
  // Date.UTC maps years below 100 to the 1900s. The calendar repeats every 400 years, so the year is shifted.
  const ms = Date.UTC(year + 400, month - 1, day) - YEARS_400_MS;
  const date = new Date(ms);
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? ms : undefined;
}

const YEARS_400_MS = 146_097 * 86_400_000;

function offsetMs(zone: string): number | undefined {
  if (zone === "Z" || zone === "z") return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(":", ""));
  if (hours > 23 || minutes > 59) return undefined;
  return (zone.startsWith("-") ? -1 : 1) * (hours * 60 + minutes) * 60_000;
}
