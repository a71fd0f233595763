// RFC 3339 instants and ProtoJSON durations, to and from seconds and nanoseconds. Pure arithmetic.
import { DecodeError } from "./decode-error.ts";

export interface SecondsAndNanos {
  readonly seconds: bigint;
  readonly nanos: number;
}

const INSTANT = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,30})?(?:[Zz]|[+-]\d\d:\d\d)$/;
const BARE_DATE = /^\d{4}-\d\d-\d\d$/;
const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
const DURATION_SECONDS_MAX = 315_576_000_000;
const INSTANT_SECONDS_MIN = -62_135_596_800;
const INSTANT_SECONDS_MAX = 253_402_300_799;
const NANOS = 1_000_000_000;
const DOT = 46;
const DIGIT_0 = 48;
const DIGIT_9 = 57;
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Any offset; digits after the millisecond are cut off. */
export function parseInstant(text: string): SecondsAndNanos {
  if (!INSTANT.test(text)) {
    throw new DecodeError("must be an RFC 3339 time, such as 2019-10-01T00:00:00.000Z");
  }
  const year = digits(text, 0, 2) * 100 + digits(text, 2, 2);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  const exists = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  if (!exists || hour > 23 || minute > 59 || second > 59)
    throw new DecodeError("is a time that does not exist");
  const seconds =
    daysSince1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offsetSeconds(text);
  if (seconds < INSTANT_SECONDS_MIN || seconds > INSTANT_SECONDS_MAX) {
    throw new DecodeError("must lie in the years 0001 to 9999");
  }
  return { seconds: BigInt(seconds), nanos: millisecond(text) * 1_000_000 };
}

/** The offset from UTC at the end of an instant's text. */
function offsetSeconds(text: string): number {
  const { length } = text;
  if (text.charCodeAt(length - 1) > DIGIT_9) return 0;
  const hours = digits(text, length - 5, 2);
  const minutes = digits(text, length - 2, 2);
  if (hours > 23 || minutes > 59) throw new DecodeError("has an offset that does not exist");
  return (text[length - 6] === "-" ? -1 : 1) * (hours * 3600 + minutes * 60);
}

function millisecond(text: string): number {
  if (text.charCodeAt(19) !== DOT) return 0;
  let value = 0;
  let count = 0;
  for (; count < 3 && isDigit(text.charCodeAt(20 + count)); count++)
    value = value * 10 + digits(text, 20 + count, 1);
  return value * 10 ** (3 - count);
}

/** The number that one or two digits are. */
function digits(text: string, at: number, count: 1 | 2): number {
  const first = text.charCodeAt(at) - DIGIT_0;
  return count === 1 ? first : first * 10 + text.charCodeAt(at + 1) - DIGIT_0;
}

function isDigit(code: number): boolean {
  return code >= DIGIT_0 && code <= DIGIT_9;
}

/** A bare date's first or last millisecond in UTC; undefined if the text is no bare date. */
export function parseBareDate(text: string, end: boolean): SecondsAndNanos | undefined {
  if (!BARE_DATE.test(text)) return undefined;
  return parseInstant(`${text}${end ? "T23:59:59.999Z" : "T00:00:00.000Z"}`);
}

/** UTC with milliseconds. Throws for an instant that parseInstant refuses. */
export function formatInstant({ seconds, nanos }: SecondsAndNanos): string {
  if (seconds < INSTANT_SECONDS_MIN || seconds > INSTANT_SECONDS_MAX || nanos < 0 || nanos >= NANOS) {
    throw new RangeError(`an instant of ${seconds} s and ${nanos} ns is not in the years 0001 to 9999`);
  }
  return new Date(Number(seconds) * 1000 + Math.floor(nanos / 1_000_000)).toISOString();
}

export function parseDuration(text: string): SecondsAndNanos {
  const match = DURATION.exec(text);
  if (match === null) throw new DecodeError('must be a duration in seconds, such as "3.5s"');
  const whole = Number(match[2]);
  const nanos = Number((match[3] ?? "").padEnd(9, "0"));
  if (whole > DURATION_SECONDS_MAX) throw new DecodeError("must be less than 315576000001s");
  return match[1] === "-"
    ? { seconds: BigInt(-whole), nanos: nanos === 0 ? 0 : -nanos }
    : { seconds: BigInt(whole), nanos };
}

/** Prints 0, 3, 6 or 9 digits of the fraction. Throws for a duration that parseDuration refuses. */
export function formatDuration({ seconds, nanos }: SecondsAndNanos): string {
  const isNegative = seconds < 0n || nanos < 0;
  const whole = seconds < 0n ? -seconds : seconds;
  const hasTwoSigns = isNegative && (seconds > 0n || nanos > 0);
  if (whole > DURATION_SECONDS_MAX || Math.abs(nanos) >= NANOS || hasTwoSigns) {
    throw new RangeError(`${seconds} s and ${nanos} ns are not a duration`);
  }
  const digits = Math.abs(nanos).toString().padStart(9, "0");
  const fraction = digits.replace(/(?:000){1,3}$/, "");
  return `${isNegative ? "-" : ""}${whole}${fraction === "" ? "" : `.${fraction}`}s`;
}

function daysIn(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && leap ? 29 : (DAYS_IN_MONTH[month - 1] ?? 0);
}

/** Days from 1970-01-01 in the proleptic Gregorian calendar, counting years from March. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
