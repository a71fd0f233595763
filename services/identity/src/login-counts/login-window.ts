// Defines the windows of login counts: UTC dates up to today. Pure.
import { assert } from "@muster/core";

/** A UTC date, in days since 1970. */
export type Day = number;

export const DAY_MS = 86_400_000;

/** The lengths of the windows, in days. */
export const WINDOWS: readonly number[] = [7, 30];

/** A position after every message of a shard. */
const LAST_POSITION = Number.MAX_SAFE_INTEGER;

export function dayOf(timeMs: number): Day {
  return Math.floor(timeMs / DAY_MS);
}

export function startOf(day: Day): number {
  return day * DAY_MS;
}

/** As YYYY-MM-DD. */
export function dateOf(day: Day): string {
  return new Date(startOf(day)).toISOString().slice(0, 10);
}

/** The first date of the window that ends with `today`. */
export function firstDayOf(windowDays: number, today: Day): Day {
  return today - windowDays + 1;
}

/** The length of "7d" or "30d". Validation refuses other texts. */
export function parseWindow(text: string): number {
  const windowDays = Number(text.slice(0, -1));
  assert(WINDOWS.includes(windowDays), "validation refuses other windows");
  return windowDays;
}

/** A place in the order in which a shard's logins leave a window: by date, then by position. */
export interface ExpiredThrough {
  readonly day: Day;
  readonly position: number;
}

/** Whether the login is after the place, so that the totals of the window contain it. */
export function isAfter(login: ExpiredThrough, place: ExpiredThrough): boolean {
  return login.day === place.day ? login.position > place.position : login.day > place.day;
}

/** The place that every login before the window of `today` has reached. */
export function endOfExpired(windowDays: number, today: Day): ExpiredThrough {
  return { day: firstDayOf(windowDays, today) - 1, position: LAST_POSITION };
}
