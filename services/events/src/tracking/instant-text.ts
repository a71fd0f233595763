// Instants as tracking clients write them: ISO 8601, with the liberties that the SDKs of many languages take. Pure.

const FIRST_MS = -62_135_596_800_000; // 0001-01-01T00:00:00.000Z
const LAST_MS = 253_402_300_799_999; // 9999-12-31T23:59:59.999Z

/** A date; a time that may lack seconds; a zone that may lack its colon, its minutes, or be missing: then UTC. */
const LENIENT =
  /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,30}))?)?)? ?([Zz]|[+-]\d\d(?::?\d\d)?)?$/;
const RFC_3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,30})?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Epoch ms, cut towards the past below the millisecond; undefined for what is no instant. */
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

/** As parseClientInstant, for RFC 3339 alone. */
export function parseInstant(text: string): number | undefined {
  return RFC_3339.test(text) ? parseClientInstant(text) : undefined;
}

/** The instant if it lies in the years 0001 to 9999. */
export function withinRange(ms: number): number | undefined {
  return ms >= FIRST_MS && ms <= LAST_MS ? ms : undefined;
}

/** The day's begin as if it were UTC; undefined for a day that no calendar has. */
function localMs(year: number, month: number, day: number): number | undefined {
  // Date.UTC takes a year below 100 for one of the 1900s; the calendar repeats itself every 400 years.
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
