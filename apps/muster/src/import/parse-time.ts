// Reads the times that event files hold. Pure.

const CALENDAR =
  /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)\s*(UTC|Z|[+-]\d{2}:?\d{2})?$/i;

/**
 * Epoch ms of an RFC 3339 time, of "2019-10-01 00:00:00 UTC" and its kin (no zone means UTC), or of a
 * whole number: seconds below 10^11, else milliseconds. Undefined for anything else.
 */
export function parseTime(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^\d{1,16}$/.test(trimmed)) {
    const number = Number(trimmed);
    return number < 1e11 ? number * 1000 : number;
  }
  const match = CALENDAR.exec(trimmed);
  if (match === null) return undefined;
  const [, date, time, zone = "Z"] = match;
  const offset = /^(utc|z)$/i.test(zone)
    ? "Z"
    : zone.includes(":")
      ? zone
      : `${zone.slice(0, 3)}:${zone.slice(3)}`;
  const withSeconds = time !== undefined && time.length === 5 ? `${time}:00` : time;
  const ms = Date.parse(`${date}T${withSeconds}${offset}`);
  if (Number.isNaN(ms)) return undefined;
  // Date.parse takes 30 February for 1 March; such a line is a mistake and is reported.
  const asUtc = new Date(`${date}T00:00:00Z`);
  return asUtc.toISOString().startsWith(date ?? "") ? ms : undefined;
}
