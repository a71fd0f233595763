// The numbers of a property in a matcher's events: all of them summed up, or a log for windows that move.
import { addExactly, type Partials } from "./exact-sum.ts";

/** What all numbers came to. Exact, in whatever order they came. */
export interface Tally {
  readonly kind: "tally";
  count: number;
  readonly sum: Partials;
  /** Of none, 0. */
  min: number;
  max: number;
}

/** The numbers that may still count in some window. */
export interface ValueLog {
  readonly kind: "values";
  /** By instant. */
  readonly log: LoggedValue[];
  /** Of what was let go for want of room the newest: later ones are all there. */
  cutMs: number | undefined;
}

export type LoggedValue = readonly [ms: number, value: number];

/** Numbers beyond it do not count: so no sum leaves the range of doubles. */
export const AGGREGATE_VALUE_MAX = 1e100;
/** Numbers that a log keeps at most. */
export const VALUES_MAX = 10_000;
/** Clocks of two owners may differ by this, and the later of them reads what the earlier kept. */
const CLOCK_MARGIN_MS = 60_000;

export function emptyTally(): Tally {
  return { kind: "tally", count: 0, sum: [], min: 0, max: 0 };
}

export function emptyValueLog(): ValueLog {
  return { kind: "values", log: [], cutMs: undefined };
}

/** The number that an event's property counts with; undefined where it does not. */
export function countableNumber(value: unknown): number | undefined {
  if (typeof value !== "number" || !(Math.abs(value) <= AGGREGATE_VALUE_MAX)) return undefined;
  return value;
}

export function tallyValue(tally: Tally, value: number): void {
  tally.min = tally.count === 0 ? value : Math.min(tally.min, value);
  tally.max = tally.count === 0 ? value : Math.max(tally.max, value);
  tally.count += 1;
  addExactly(tally.sum, value);
}

/** Keeps at most `room` numbers, and none that is older than any window asks. */
export function logValue(
  facts: ValueLog,
  logged: LoggedValue,
  keepMs: number,
  room: number,
  nowMs: number,
): void {
  const { log } = facts;
  const horizonMs = nowMs - keepMs - CLOCK_MARGIN_MS;
  const stale = log.findIndex(([ms]) => ms > horizonMs);
  log.splice(0, stale < 0 ? log.length : stale);
  const [ms] = logged;
  if (ms <= horizonMs || ms <= (facts.cutMs ?? Number.NEGATIVE_INFINITY)) return;
  let index = log.length;
  for (let other = log[index - 1]; other !== undefined && other[0] > ms; other = log[index - 1]) index -= 1;
  log.splice(index, 0, logged);
  const [oldest] = log;
  if (log.length <= room || oldest === undefined) return;
  const cut = log.splice(0, log.length - room).at(-1) ?? oldest;
  facts.cutMs = cut[0];
}
