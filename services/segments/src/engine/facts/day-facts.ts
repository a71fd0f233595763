// Keeps the days of a time zone on which a matcher's events happened.
import type { DayNumber } from "../rule/time-zone.ts";

export interface DayFacts {
  readonly kind: "days";
  /** Newest first, without duplicates. Invariant: always the newest days, without gaps. */
  readonly days: DayNumber[];
}

export function emptyDayFacts(): DayFacts {
  return { kind: "days", days: [] };
}

/** Keeps the newest `capacity` days, because no window reads more days than that. */
export function applyToDayFacts({ days }: DayFacts, day: DayNumber, capacity: number): void {
  let index = 0;
  for (let other = days[index]; other !== undefined && other > day; other = days[index]) index += 1;
  if (days[index] === day) return;
  days.splice(index, 0, day);
  if (days.length > capacity) days.length = capacity;
}
