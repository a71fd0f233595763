// Evaluates rules by plain loops over raw events. Slow on purpose, and it shares no engine code except the
// types of rules: the engine's tests and the verification of memberships compare the engine with this
// evaluator.
import type { SegmentId } from "@muster/core";
import type { Matcher } from "../rule/matcher.ts";
import type {
  Aggregate,
  Comparison,
  Occurrence,
  PerformedThenNot,
  Rule,
  Sequence,
  Window,
} from "../rule/rule.ts";

export interface RawEvent {
  readonly eventName: string;
  readonly ms: number;
  /** A JSON object. */
  readonly properties?: string;
}

/** What rules read in addition to a profile's events. */
export interface ReferenceContext<Id extends string = SegmentId> {
  readonly createMs?: number;
  /** A JSON object. */
  readonly traits?: string;
  readonly ruleOf?: (segmentId: Id) => Rule<Id> | undefined;
}

/** Whether a profile with exactly these raw events is a member at `nowMs`. */
export function isMemberByRawEvents<Id extends string>(
  rule: Rule<Id>,
  events: readonly RawEvent[],
  nowMs: number,
  referenceContext: ReferenceContext<Id> = {},
  resultsBySegment = new Map<Id, boolean>(),
): boolean {
  const isMember = (other: Rule<Id>): boolean =>
    isMemberByRawEvents(other, events, nowMs, referenceContext, resultsBySegment);
  const happened = events.filter(({ ms }) => ms <= nowMs);
  const of = (matcher: Matcher) => happened.filter((event) => isOf(event, matcher));
  const within = (window: Window | undefined) => (one: RawEvent) => isWithin(one.ms, window, nowMs);
  switch (rule.kind) {
    case "all":
      return rule.rules.every(isMember);
    case "any":
      return rule.rules.some(isMember);
    case "not":
      return !isMember(rule.rule);
    case "performed":
      return holds(rule.count.kind, of(rule.matcher).filter(within(rule.window)).length, rule.count.n);
    case "performed_then_not":
      return isHeld(rule, of(rule.matcher), of(rule.thenNot), nowMs);
    case "sequence":
      return isSequenceDone(rule, rule.steps.map(of), within(rule.window));
    case "trait":
      return rule.where.matches(referenceContext.traits ?? "{}");
    case "in_segment": {
      // Each segment is evaluated once, because many rules at every level may refer to the same segment.
      const known = resultsBySegment.get(rule.segmentId);
      if (known !== undefined) return known;
      const other = referenceContext.ruleOf?.(rule.segmentId);
      const matches = other !== undefined && isMember(other);
      resultsBySegment.set(rule.segmentId, matches);
      return matches;
    }
    case "inactive_for": {
      if (happened.length > 0) return !happened.some(({ ms }) => ms > nowMs - rule.ms);
      return referenceContext.createMs !== undefined && referenceContext.createMs <= nowMs - rule.ms;
    }
    case "aggregate":
      return isAggregateMet(rule, of(rule.matcher).filter(within(rule.window)));
    case "occurrence":
      return isOccurrenceMet(
        rule,
        of(rule.matcher).map(({ ms }) => ms),
        nowMs,
      );
    case "active_days": {
      const today = calendarDay(nowMs, rule.timeZone);
      const days = of(rule.matcher).map(({ ms }) => calendarDay(ms, rule.timeZone));
      return new Set(days.filter((day) => day > today - rule.ofLastDays)).size >= rule.atLeast;
    }
  }
}

function isOf(event: RawEvent, { eventName, where }: Matcher): boolean {
  if (eventName !== undefined && event.eventName !== eventName) return false;
  return where === undefined || where.matches(event.properties ?? "{}");
}

function isWithin(ms: number, window: Window | undefined, nowMs: number): boolean {
  switch (window?.kind) {
    case undefined:
      return true;
    case "last":
      return ms > nowMs - window.ms;
    case "between":
      return ms >= window.fromMs && ms < window.toMs;
    case "calendar_days":
      return calendarDay(nowMs, window.timeZone) - calendarDay(ms, window.timeZone) < window.days;
  }
}

function holds(kind: Comparison, observed: number, wanted: number): boolean {
  if (kind === "at_least") return observed >= wanted;
  if (kind === "more_than") return observed > wanted;
  if (kind === "exactly") return observed === wanted;
  return kind === "at_most" ? observed <= wanted : observed < wanted;
}

/** Some A is at least `heldForMs` old, and no B happened at the same instant or later. */
function isHeld(rule: PerformedThenNot, as: RawEvent[], bs: RawEvent[], nowMs: number): boolean {
  return as.some((a) => a.ms <= nowMs - rule.heldForMs && !bs.some((b) => b.ms >= a.ms));
}

function isSequenceDone(rule: Sequence, steps: RawEvent[][], counts: (event: RawEvent) => boolean): boolean {
  const [starts = [], ...others] = steps;
  const lasts = others.pop() ?? [];
  return starts.some((start) => {
    // The earliest possible middle steps leave the most time for the last step.
    let atMs = start.ms;
    for (const step of others) {
      atMs = Math.min(...step.map(({ ms }) => ms).filter((ms) => ms > atMs), Number.POSITIVE_INFINITY);
    }
    return lasts.some((last) => last.ms > atMs && last.ms - start.ms <= rule.withinMs && counts(last));
  });
}

function isAggregateMet(rule: Aggregate, events: RawEvent[]): boolean {
  const numbers = events.flatMap((event) => {
    const value: unknown = (JSON.parse(event.properties ?? "{}") as Record<string, unknown>)[rule.property];
    return typeof value === "number" && Math.abs(value) <= 1e100 ? [value] : [];
  });
  const { kind, value: wanted } = rule.comparison;
  if (rule.function === "sum") return holds(kind, sumOf(numbers), wanted);
  if (numbers.length === 0) return false;
  if (rule.function === "average") return holds(kind, sumOf(numbers) / numbers.length, wanted);
  return holds(kind, rule.function === "min" ? Math.min(...numbers) : Math.max(...numbers), wanted);
}

/** Adds doubles as integer multiples of 2^-1074, so nothing is rounded before the final result. */
function sumOf(numbers: readonly number[]): number {
  const sum = numbers.map(inSmallestUnits).reduce((a, b) => a + b, 0n);
  // Shortens the sum to a length that a double can represent; the removed bits only decide ties.
  const excessBits = BigInt(Math.max(0, (sum < 0n ? -sum : sum).toString(2).length - 70));
  const rest = sum & ((1n << excessBits) - 1n);
  const kept = ((sum >> excessBits) << 1n) | (rest === 0n ? 0n : 1n);
  return timesPowerOfTwo(Number(kept), Number(excessBits) - 1 - 1074);
}

function inSmallestUnits(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = (bits >> 52n) & 0x7ffn;
  const fraction = bits & ((1n << 52n) - 1n);
  const size = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
  return bits >> 63n === 0n ? size : -size;
}

function timesPowerOfTwo(value: number, exponent: number): number {
  const half = Math.trunc(exponent / 2);
  return value * 2 ** half * 2 ** (exponent - half);
}

function isOccurrenceMet({ which, when }: Occurrence, instants: number[], nowMs: number): boolean {
  if (instants.length === 0) return false;
  const ms = which === "first" ? Math.min(...instants) : Math.max(...instants);
  if (when.kind === "before") return ms < when.ms;
  return when.kind === "after" ? ms >= when.ms : ms > nowMs - when.ms;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** The local calendar date of the instant, in days since 1970-01-01. */
function calendarDay(ms: number, timeZone: string): number {
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat("sv-SE", { timeZone });
  formats.set(timeZone, format);
  const [year = 0, month = 0, day = 0] = format.format(ms).split("-").map(Number);
  return Date.UTC(year, month - 1, day) / 86_400_000;
}
