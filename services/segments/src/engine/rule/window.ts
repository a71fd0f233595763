// Computes the start of moving windows, and when an event leaves a window.
import type { CalendarDaysWindow, LastWindow } from "./rule.ts";
import { dayOf, startOfDay } from "./time-zone.ts";

export type MovingWindow = LastWindow | CalendarDaysWindow;

const DAY_MS = 86_400_000;

/** The earliest instant in the window at `nowMs`. */
export function windowStart(window: MovingWindow, nowMs: number): number {
  if (window.kind === "last") return nowMs - window.ms + 1;
  return startOfDay(window.timeZone, dayOf(window.timeZone, nowMs) - window.days + 1);
}

/** The first instant at which an event of `ms` is no longer in the window. */
export function leavesAt(window: MovingWindow, ms: number): number {
  if (window.kind === "last") return ms + window.ms;
  return startOfDay(window.timeZone, dayOf(window.timeZone, ms) + window.days);
}

/** An upper bound for the time that an event stays in the window, including days of 25 hours. */
export function spanMsMax(window: MovingWindow): number {
  return window.kind === "last" ? window.ms : (window.days + 2) * DAY_MS;
}
