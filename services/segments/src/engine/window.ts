// Windows that move with time: from which instant on events count, and when an event leaves.
import type { CalendarDaysWindow, LastWindow } from "./rule.ts";
import { dayOf, startOfDay } from "./time-zone.ts";

export type MovingWindow = LastWindow | CalendarDaysWindow;

const DAY_MS = 86_400_000;

/** The earliest instant that counts at `nowMs`. */
export function windowStart(window: MovingWindow, nowMs: number): number {
  if (window.kind === "last") return nowMs - window.ms + 1;
  return startOfDay(window.timeZone, dayOf(window.timeZone, nowMs) - window.days + 1);
}

/** The first instant at which an event of `ms` does not count any more. */
export function leavesAt(window: MovingWindow, ms: number): number {
  if (window.kind === "last") return ms + window.ms;
  return startOfDay(window.timeZone, dayOf(window.timeZone, ms) + window.days);
}

/** No event counts for longer, whatever clocks do. */
export function spanMsMax(window: MovingWindow): number {
  return window.kind === "last" ? window.ms : (window.days + 2) * DAY_MS;
}
