// Generates random rules of every kind and random traces of events, for tests that compare the engine with
// raw events.
import type { EvaluationId } from "@muster/core";
import fc from "fast-check";
import { matcherOf } from "../src/engine/rule/matcher.ts";
import type { EvaluatedRule, Leaf } from "../src/engine/rule/rule.ts";
import { compilePredicate } from "../src/predicates/predicate.ts";

/** The duration of a tick: short for windows to the millisecond, long for calendar days. */
export interface Scale {
  readonly tickMs: number;
  readonly startMs: number;
}
export const FINE: Scale = { tickMs: 1, startMs: 1_000_000 };
/** Clocks change in both zones around then; ticks fall on, before and after midnights. */
export const COARSE: Scale = { tickMs: 6 * 3_600_000 + 1, startMs: Date.parse("2026-03-26T21:00:00Z") };
export const TICKS = 60;
export const TAIL_TICKS = 45;

const events = [undefined, 'properties.kind == "x"', "properties.price >= 2"].map((source) =>
  source === undefined ? undefined : compilePredicate(source, "event"),
);
const traits = ['traits.plan == "pro"', "has(traits.age)"].map((source) =>
  compilePredicate(source, "traits"),
);
const anyMatcher = fc
  .record({ name: fc.constantFrom("a", "b", "c"), where: fc.constantFrom(...events) })
  .map(({ name, where }) => matcherOf(name, where));
const anyMatcherOrAll = fc.oneof(
  { weight: 3, arbitrary: anyMatcher },
  { weight: 1, arbitrary: fc.constant(matcherOf(undefined)) },
);
const anyComparison = fc.constantFrom("at_least", "more_than", "exactly", "at_most", "less_than" as const);

/** A single leaf, by kind. */
export function anyLeaves({
  tickMs,
  startMs,
}: Scale): Record<Leaf["kind"], fc.Arbitrary<Leaf<EvaluationId>>> {
  const ticks = (min: number, max: number) => fc.integer({ min, max }).map((count) => count * tickMs);
  const instant = ticks(-5, TICKS + 10).map((ms) => startMs + ms);
  const timeZone = fc.constantFrom("UTC", "Europe/Berlin", "America/Santiago");
  const last = ticks(1, 30).map((ms) => ({ kind: "last" as const, ms }));
  const between = fc
    .tuple(instant, ticks(1, 40))
    .map(([fromMs, ms]) => ({ kind: "between" as const, fromMs, toMs: fromMs + ms }));
  const days = fc.record({
    kind: fc.constant("calendar_days" as const),
    days: fc.integer({ min: 1, max: 4 }),
    timeZone,
  });
  const window = fc.oneof(fc.constant(undefined), last, last, between, days);
  return {
    performed: fc
      .record({ matcher: anyMatcher, kind: anyComparison, n: fc.integer({ min: 0, max: 4 }), window })
      .map(({ matcher, kind, n, window }) => ({ kind: "performed", matcher, count: { kind, n }, window })),
    performed_then_not: fc.record({
      kind: fc.constant("performed_then_not" as const),
      matcher: anyMatcher,
      thenNot: anyMatcher,
      heldForMs: fc.oneof(fc.constant(0), ticks(1, 12)),
    }),
    sequence: fc.record({
      kind: fc.constant("sequence" as const),
      steps: fc.array(anyMatcher, { minLength: 2, maxLength: 4 }),
      withinMs: ticks(1, 30),
      window,
    }),
    trait: fc.record({ kind: fc.constant("trait" as const), where: fc.constantFrom(...traits) }),
    in_segment: fc.integer({ min: 0, max: 3 }).map((index) => ({
      kind: "in_segment",
      segmentId: `s${index}` as EvaluationId,
    })),
    inactive_for: ticks(1, 25).map((ms) => ({ kind: "inactive_for", ms })),
    aggregate: fc.record({
      kind: fc.constant("aggregate" as const),
      function: fc.constantFrom("sum", "average", "min", "max" as const),
      matcher: anyMatcher,
      property: fc.constantFrom("price", "price", "price", "constructor"),
      window,
      comparison: fc.record({ kind: anyComparison, value: fc.constantFrom(-1, 0, 0.1, 0.3, 2, 5) }),
    }),
    occurrence: fc.record({
      kind: fc.constant("occurrence" as const),
      which: fc.constantFrom("first", "last" as const),
      matcher: anyMatcher,
      when: fc.oneof(
        fc.record({ kind: fc.constantFrom("before", "after" as const), ms: instant }),
        fc.record({ kind: fc.constant("within" as const), ms: ticks(1, 20) }),
      ),
    }),
    active_days: fc
      .record({
        matcher: anyMatcherOrAll,
        ofLastDays: fc.integer({ min: 1, max: 6 }),
        atLeast: fc.integer({ min: 1, max: 6 }),
        timeZone,
      })
      .map((one) => ({ kind: "active_days", ...one, atLeast: Math.min(one.atLeast, one.ofLastDays) })),
  };
}

/** Trees of a few leaves. */
export function anyRule(scale: Scale): fc.Arbitrary<EvaluatedRule> {
  const leaf = fc.oneof(...Object.values(anyLeaves(scale)));
  return fc.letrec<{ rule: EvaluatedRule }>((tie) => ({
    rule: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      { weight: 3, arbitrary: leaf },
      fc
        .record({
          kind: fc.constantFrom("all", "any" as const),
          rules: fc.array(tie("rule"), { minLength: 1, maxLength: 3 }),
        })
        .map((one): EvaluatedRule => one),
      fc.record({ kind: fc.constant("not" as const), rule: tie("rule") }),
    ),
  })).rule;
}

export interface Arrival {
  /** Undefined for a change of the profile's traits. */
  readonly eventName: string | undefined;
  readonly ms: number;
  readonly properties: string;
  readonly arrivesMs: number;
  /** The event is committed this long before it is applied. */
  readonly lagMs: number;
}

export function anyTrace({ tickMs, startMs }: Scale): fc.Arbitrary<Arrival[]> {
  const price = fc.constantFrom<unknown>(0, 0.1, 0.2, 1, 3, -2, "much", null, 1e300);
  const properties = fc
    .record({ kind: fc.constantFrom("x", "y"), price }, { requiredKeys: [] })
    .map((one) => JSON.stringify(one));
  const changedTraits = fc
    .record({ plan: fc.constantFrom("pro", "free"), age: fc.constant(30) }, { requiredKeys: [] })
    .map((one) => ({ eventName: undefined, properties: JSON.stringify(one) }));
  const what = fc.oneof(
    { weight: 8, arbitrary: fc.record({ eventName: fc.constantFrom("a", "b", "c", "d"), properties }) },
    { weight: 1, arbitrary: changedTraits },
  );
  // Mostly a little late; sometimes very late, or dated in the future.
  const delay = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 2 }) },
    { weight: 3, arbitrary: fc.integer({ min: 0, max: TICKS }) },
    { weight: 2, arbitrary: fc.integer({ min: -15, max: -1 }) },
  );
  const arrival = fc
    .record({ what, at: fc.integer({ min: 0, max: TICKS }), delay, lag: fc.constantFrom(0, 0, 1, 5) })
    .map(({ what, at, delay, lag }) => ({
      ...what,
      ms: startMs + (at - delay) * tickMs,
      arrivesMs: startMs + at * tickMs,
      lagMs: lag * tickMs,
    }));
  return fc
    .array(arrival, { maxLength: 40, size: "max" })
    .map((trace) => [...trace].sort((a, b) => a.arrivesMs - b.arrivesMs));
}
