// Reads the dates and times of a filter as spans of milliseconds. Pure.

/** Both ends included. A time between two milliseconds is an empty span: `from` is one more than `to`. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^(\d{4}-\d\d-\d\d)T((\d\d):(\d\d):(\d\d))(?:\.(\d{1,9}))?(Z|([+-])(\d\d):(\d\d))$/i;
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;

/** A bare date is its whole UTC day. Undefined for a time without zone, and for what does not exist. */
export function instantSpan(text: string): Span | undefined {
  if (DATE.test(text)) {
    const startMs = dayStartMs(text);
    return startMs === undefined ? undefined : { from: startMs, to: startMs + DAY_MS - 1 };
  }
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [, date = "", clock = "", hour, minute, second, fraction = "", , sign, offsetHour, offsetMinute] =
    match;
  const startMs = dayStartMs(date);
  const exists = Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60;
  const offset = [Number(offsetHour ?? 0), Number(offsetMinute ?? 0)] as const;
  if (startMs === undefined || !exists || offset[0] > 23 || offset[1] > 59) return undefined;
  const offsetMs = (sign === "-" ? -1 : 1) * (offset[0] * 60 + offset[1]) * MINUTE_MS;
  const digits = fraction.padEnd(9, "0");
  const ms = new Date(`1970-01-01T${clock}.${digits.slice(0, 3)}Z`).getTime() + startMs - offsetMs;
  return /[1-9]/.test(digits.slice(3)) ? { from: ms + 1, to: ms } : { from: ms, to: ms };
}

function dayStartMs(date: string): number | undefined {
  const day = new Date(`${date}T00:00:00.000Z`);
  if (Number.isNaN(day.getTime()) || date.startsWith("0000")) return undefined;
  // The constructor may move a day such as February 30 to the next month.
  return day.toISOString().startsWith(date) ? day.getTime() : undefined;
}
