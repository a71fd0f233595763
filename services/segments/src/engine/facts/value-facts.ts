// Keeps the numbers of a property in a matcher's events: one tally of all, or a log for moving windows.
import { addExactly, type Partials } from "./exact-sum.ts";

/** Count, sum, minimum and maximum of all numbers. Exact in any order of events. */
export interface Tally {
  readonly kind: "tally";
  count: number;
  readonly sum: Partials;
  /** 0 when the count is 0. */
  min: number;
  max: number;
}

/** The numbers that may still lie in a window. */
export interface ValueLog {
  readonly kind: "values";
  /** Ordered by instant, oldest first. */
  readonly log: LoggedValue[];
  /**
   * The instant of the newest number that was dropped because the log was full. Later numbers are complete.
   */
  truncatedMs: number | undefined;
}

export type LoggedValue = readonly [ms: number, value: number];

/** Larger magnitudes do not count, so that no sum exceeds the range of doubles. */
export const AGGREGATE_VALUE_MAX = 1e100;
/** Most numbers in one log. */
export const VALUES_MAX = 10_000;
/** Clocks of two shard owners may differ by this much, and the later owner reads the earlier owner's log. */
const CLOCK_MARGIN_MS = 60_000;

export function emptyTally(): Tally {
  return { kind: "tally", count: 0, sum: [], min: 0, max: 0 };
}

export function emptyValueLog(): ValueLog {
  return { kind: "values", log: [], truncatedMs: undefined };
}

/** The value as a number that counts; undefined otherwise. */
export function countableNumber(value: unknown): number | undefined {
  if (typeof value !== "number" || !(Math.abs(value) <= AGGREGATE_VALUE_MAX)) return undefined;
  return value;
}

export function addToTally(tally: Tally, value: number): void {
  tally.min = tally.count === 0 ? value : Math.min(tally.min, value);
  tally.max = tally.count === 0 ? value : Math.max(tally.max, value);
  tally.count += 1;
  addExactly(tally.sum, value);
}

/** Keeps at most `capacity` numbers, and drops numbers older than every window. */
export function addToLog(
  facts: ValueLog,
  logged: LoggedValue,
  keepMs: number,
  capacity: number,
  nowMs: number,
): void {
  const { log } = facts;
  const horizonMs = nowMs - keepMs - CLOCK_MARGIN_MS;
  const firstCurrent = log.findIndex(([ms]) => ms > horizonMs);
  log.splice(0, firstCurrent < 0 ? log.length : firstCurrent);
  const [ms] = logged;
  if (ms <= horizonMs || ms <= (facts.truncatedMs ?? Number.NEGATIVE_INFINITY)) return;
  let index = log.length;
  for (let other = log[index - 1]; other !== undefined && other[0] > ms; other = log[index - 1]) index -= 1;
  log.splice(index, 0, logged);
  const [oldest] = log;
  if (log.length <= capacity || oldest === undefined) return;
  const cut = log.splice(0, log.length - capacity).at(-1) ?? oldest;
  facts.truncatedMs = cut[0];
}
