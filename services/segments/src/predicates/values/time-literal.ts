// Pure. Parses timestamps (RFC 3339) and durations ("1h30m") to the nanosecond, without a clock and without
// named time zones.
import { TIME_TEXT_LENGTH_MAX } from "../parse/limits.ts";
import { Instant, Span } from "./values.ts";

const TIMESTAMP =
  /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/;
const DURATION = /^-?(?:\d{1,12}(?:\.\d{1,9})?(?:ns|us|ms|h|m|s))+$/;
const DURATION_PART = /(\d+)(?:\.(\d+))?(ns|us|ms|h|m|s)/g;
const NANOS_PER_MS = 1_000_000n;
const NANOS_PER_UNIT: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1000n],
  ["ms", NANOS_PER_MS],
  ["s", 1000n * NANOS_PER_MS],
  ["m", 60_000n * NANOS_PER_MS],
  ["h", 3_600_000n * NANOS_PER_MS],
]);

/** CEL's range: 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999999Z. */
const INSTANT_NANOS_MIN = -62_135_596_800_000n * NANOS_PER_MS;
const INSTANT_NANOS_MAX = 253_402_300_800_000n * NANOS_PER_MS - 1n;
/** CEL's range of a duration: about 10,000 years. */
const SPAN_NANOS_MAX = 315_576_000_000n * 1000n * NANOS_PER_MS;

export function instantOf(nanos: bigint): Instant | undefined {
  return nanos < INSTANT_NANOS_MIN || nanos > INSTANT_NANOS_MAX ? undefined : new Instant(nanos);
}

export function spanOf(nanos: bigint): Span | undefined {
  return nanos < -SPAN_NANOS_MAX || nanos > SPAN_NANOS_MAX ? undefined : new Span(nanos);
}

export function parseInstant(text: string): Instant | undefined {
  const match = text.length <= TIME_TEXT_LENGTH_MAX ? TIMESTAMP.exec(text) : null;
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const [offsetHour, offsetMinute] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return undefined;
  // Date.UTC reads years below 100 as 19xx; 400 years later the calendar is the same.
  const ms = Date.UTC(year + 400, month - 1, day, hour, minute, second) - 12_622_780_800_000;
  const isRealDay = month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month);
  if (!isRealDay) return undefined;
  const offsetMs = (offsetHour * 60 + offsetMinute) * 60_000 * (match[8] === "-" ? -1 : 1);
  return instantOf(BigInt(ms - offsetMs) * NANOS_PER_MS + BigInt((match[7] ?? "").padEnd(9, "0")));
}

function daysOf(year: number, month: number): number {
  if (month !== 2) return [4, 6, 9, 11].includes(month) ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

export function parseSpan(text: string): Span | undefined {
  if (text.length > TIME_TEXT_LENGTH_MAX || !DURATION.test(text)) return undefined;
  let nanos = 0n;
  for (const [, whole = "0", fraction = "", unit = ""] of text.matchAll(DURATION_PART)) {
    const perUnit = NANOS_PER_UNIT.get(unit) ?? 0n;
    nanos += BigInt(whole) * perUnit + (BigInt(fraction.padEnd(9, "0")) * perUnit) / 1_000_000_000n;
  }
  return spanOf(text.startsWith("-") ? -nanos : nanos);
}
