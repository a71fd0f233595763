// Compares the running aggregates of a replay with the evaluation of the whole log, and counts their reads.
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { addToLog, emptyValueLog, type LoggedValue, type ValueLog } from "../facts/value-facts.ts";
import { matcherOf } from "../rule/matcher.ts";
import type { Aggregate } from "../rule/rule.ts";
import { evaluateAggregate } from "./evaluate-aggregate.ts";
import { WindowAggregates } from "./window-aggregates.ts";

const KEEP_MS = 100;

const anyLeaf = fc.record({
  kind: fc.constant("aggregate" as const),
  function: fc.constantFrom("sum", "average", "min", "max" as const),
  matcher: fc.constant(matcherOf("a")),
  property: fc.constant("price"),
  window: fc.oneof(
    fc.integer({ min: 1, max: KEEP_MS }).map((ms) => ({ kind: "last" as const, ms })),
    fc.constant({ kind: "calendar_days" as const, days: 1, timeZone: "Europe/Berlin" }),
  ),
  comparison: fc.record({
    kind: fc.constantFrom("at_least", "more_than", "exactly", "at_most", "less_than" as const),
    value: fc.constantFrom(-3, 0, 0.1, 0.3, 7, 1e16),
  }),
});

/** Steps of time, each with a number or only with an evaluation. */
const anySteps = fc.array(
  fc.record({
    afterMs: fc.integer({ min: 0, max: 60 }),
    value: fc.option(fc.constantFrom(-3, 0, 0.1, 0.2, 7, 1e16, -1e16)),
  }),
  { maxLength: 40 },
);

test("equals the evaluation of the whole log, and never names a change too late", async () => {
  await checkProperty(
    fc.property(anyLeaf, anySteps, fc.integer({ min: 2, max: 50 }), (leaf, steps, capacity) => {
      const facts = emptyValueLog();
      const windows = new WindowAggregates();
      let nowMs = Date.UTC(2026, 2, 28, 22, 59, 59, 900);
      for (const { afterMs, value } of steps) {
        nowMs += afterMs;
        if (value !== null) addToLog(facts, [nowMs, value], KEEP_MS, capacity, nowMs);
        const { nextChangeAt, ...expected } = evaluateAggregate(leaf, facts, nowMs);
        const { nextChangeAt: early, ...running } = evaluateAggregate(leaf, facts, nowMs, windows);
        expect(running).toEqual(expected);
        expect(early ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(
          nextChangeAt ?? Number.POSITIVE_INFINITY,
        );
        expect(early ?? Number.POSITIVE_INFINITY).toBeGreaterThan(nowMs);
      }
    }),
    { numRuns: 500 },
  );
});

test("reads each number of the log a fixed number of times", () => {
  const leaf: Aggregate = {
    kind: "aggregate",
    function: "sum",
    matcher: matcherOf("a"),
    property: "price",
    window: { kind: "last", ms: 1_000_000 },
    comparison: { kind: "at_least", value: 1_000_000 },
  };
  const numbers = 2_000;
  const log: LoggedValue[] = [];
  let reads = 0;
  const counted = new Proxy(log, {
    get(target, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) reads += 1;
      return Reflect.get(target, key) as unknown;
    },
  });
  const facts: ValueLog = { kind: "values", log: counted, truncatedMs: undefined };
  const windows = new WindowAggregates();
  for (let ms = 1; ms <= numbers; ms += 1) {
    log.push([ms, 1]);
    evaluateAggregate(leaf, facts, ms, windows);
  }
  expect(reads).toBeLessThanOrEqual(3 * numbers);
});
