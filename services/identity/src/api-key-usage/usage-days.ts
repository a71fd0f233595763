// Defines for how long calls of API keys are counted. Pure.
import { DAY_MS, type Day, dayOf } from "../login-counts/login-window.ts";

/** The longest window, today included. */
const USAGE_DAYS = 90;

/** A report can be repeated for as long. */
export const USAGE_LIFETIME_MS = USAGE_DAYS * DAY_MS;

/** The first date whose counts are kept. */
export function firstUsageDay(nowMs: number): Day {
  return dayOf(nowMs) - USAGE_DAYS + 1;
}

/** Whether calls of the date are counted. The clock of the reporter may be ahead. */
export function isUsageDay(day: Day, nowMs: number): boolean {
  return day >= firstUsageDay(nowMs) && day <= dayOf(nowMs) + 1;
}
