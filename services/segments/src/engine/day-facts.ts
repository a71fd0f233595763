// The days of a time zone on which a matcher's events happened.
import type { DayNumber } from "./time-zone.ts";

export interface DayFacts {
  readonly kind: "days";
  /** Newest first, each once. Invariant: always the true newest ones, without a hole. */
  readonly days: DayNumber[];
}

export function emptyDayFacts(): DayFacts {
  return { kind: "days", days: [] };
}

/** Keeps the newest `room` days: older ones are in no window that asks for that many. */
export function noteDay({ days }: DayFacts, day: DayNumber, room: number): void {
  let index = 0;
  for (let other = days[index]; other !== undefined && other > day; other = days[index]) index += 1;
  if (days[index] === day) return;
  days.splice(index, 0, day);
  if (days.length > room) days.length = room;
}
