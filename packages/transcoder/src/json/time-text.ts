// RFC 3339 instants and ProtoJSON durations, to and from seconds and nanoseconds. Pure arithmetic.
import { DecodeError } from "./decode-error.ts";

export interface SecondsAndNanos {
  readonly seconds: bigint;
  readonly nanos: number;
}

const INSTANT =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const BARE_DATE = /^\d{4}-\d\d-\d\d$/;
const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;
const DURATION_SECONDS_MAX = 315_576_000_000;
const INSTANT_SECONDS_MIN = -62_135_596_800;
const INSTANT_SECONDS_MAX = 253_402_300_799;
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Any offset; digits after the millisecond are cut off. */
export function parseInstant(text: string): SecondsAndNanos {
  const match = INSTANT.exec(text);
  if (match === null) throw new DecodeError("must be an RFC 3339 time, such as 2019-10-01T00:00:00.000Z");
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const [hour, minute, second] = [Number(match[4]), Number(match[5]), Number(match[6])];
  const [offsetHours, offsetMinutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  const exists = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month);
  if (!exists || hour > 23 || minute > 59 || second > 59 || offsetHours > 23 || offsetMinutes > 59) {
    throw new DecodeError("is a time that does not exist");
  }
  const offset = (match[8] === "-" ? -1 : 1) * (offsetHours * 3600 + offsetMinutes * 60);
  const seconds = daysSince1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
  if (seconds < INSTANT_SECONDS_MIN || seconds > INSTANT_SECONDS_MAX) {
    throw new DecodeError("must lie in the years 0001 to 9999");
  }
  const ms = match[7] === undefined ? 0 : Number(match[7].slice(0, 3).padEnd(3, "0"));
  return { seconds: BigInt(seconds), nanos: ms * 1_000_000 };
}

/** A bare date's first or last millisecond in UTC; undefined if the text is no bare date. */
export function parseBareDate(text: string, end: boolean): SecondsAndNanos | undefined {
  if (!BARE_DATE.test(text)) return undefined;
  return parseInstant(`${text}${end ? "T23:59:59.999Z" : "T00:00:00.000Z"}`);
}

/** UTC with milliseconds. */
export function formatInstant(time: SecondsAndNanos): string {
  return new Date(Number(time.seconds) * 1000 + Math.floor(time.nanos / 1_000_000)).toISOString();
}

export function parseDuration(text: string): SecondsAndNanos {
  const match = DURATION.exec(text);
  if (match === null) throw new DecodeError('must be a duration in seconds, such as "3.5s"');
  const whole = Number(match[2]);
  const nanos = Number((match[3] ?? "").padEnd(9, "0"));
  if (whole > DURATION_SECONDS_MAX || (whole === DURATION_SECONDS_MAX && nanos > 0)) {
    throw new DecodeError("must be at most 315576000000s");
  }
  return match[1] === "-"
    ? { seconds: BigInt(-whole), nanos: nanos === 0 ? 0 : -nanos }
    : { seconds: BigInt(whole), nanos };
}

export function formatDuration({ seconds, nanos }: SecondsAndNanos): string {
  const sign = seconds < 0n || nanos < 0 ? "-" : "";
  const whole = seconds < 0n ? -seconds : seconds;
  const fraction = Math.abs(nanos).toString().padStart(9, "0").replace(/0+$/, "");
  return `${sign}${whole}${fraction === "" ? "" : `.${fraction}`}s`;
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
