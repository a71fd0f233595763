// Tests that sums do not depend on order, and that a truncated value log reports its missing numbers.
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { compilePredicate } from "../../predicates/predicate.ts";
import { evaluate } from "../evaluation/evaluate.ts";
import { matcherOf } from "../rule/matcher.ts";
import type { Aggregate } from "../rule/rule.ts";
import { recordEvent } from "../state/apply-events.ts";
import { Definitions } from "../state/definitions.ts";
import { emptyState, viewOf } from "../state/profile-state.ts";
import { addExactly, roundedSum } from "./exact-sum.ts";
import { AGGREGATE_VALUE_MAX, VALUES_MAX } from "./value-facts.ts";

const DAY_MS = 86_400_000;

function sumOf(terms: readonly number[]): number {
  const partials: number[] = [];
  for (const term of terms) addExactly(partials, term);
  return roundedSum(partials);
}

test("sums are rounded once, at the end", async () => {
  expect(sumOf([0.1, 0.2, 0.3])).toBe(0.6);
  expect(sumOf([1e16, 1, -1e16])).toBe(1);
  expect(sumOf([AGGREGATE_VALUE_MAX, 1, -AGGREGATE_VALUE_MAX])).toBe(1);
  expect(sumOf([])).toBe(0);
  expect(Object.is(sumOf([-0, 0]), 0)).toBe(true);
  const number = fc.double({ min: -1e100, max: 1e100, noNaN: true });
  await checkProperty(
    fc.property(fc.array(number, { maxLength: 30 }), (terms) => {
      const sum = sumOf(terms);
      expect(sumOf([...terms].reverse())).toBe(sum);
      expect(sumOf([...terms, ...terms.map((term) => -term)])).toBe(0);
    }),
  );
});

test("a full log is not exact until the window has moved past the dropped numbers", () => {
  const rule: Aggregate = {
    kind: "aggregate",
    function: "sum",
    matcher: matcherOf("order.completed", compilePredicate('properties.currency == "EUR"', "event")),
    property: "total",
    window: { kind: "last", ms: DAY_MS },
    comparison: { kind: "at_least", value: VALUES_MAX },
  };
  const definitions = new Definitions(1, [{ id: "s" as never, rule }]);
  const state = emptyState();
  const record = (ms: number, properties: object) =>
    recordEvent(
      state,
      definitions,
      { eventName: "order.completed", instant: [ms, `e${ms}`], properties: JSON.stringify(properties) },
      ms,
      new Set(),
    );
  const at = (nowMs: number) => evaluate(rule, viewOf(state, definitions.ruleOf), nowMs);
  for (let ms = 1; ms <= VALUES_MAX; ms += 1) record(ms, { currency: "EUR", total: 1 });
  record(VALUES_MAX, { currency: "USD", total: 1 });
  record(VALUES_MAX, { currency: "EUR", total: "1" });
  expect(at(VALUES_MAX)).toMatchObject({ member: true, isExact: true, nextChangeAt: 1 + DAY_MS });
  record(VALUES_MAX + 1, { currency: "EUR", total: 5 });
  expect(at(VALUES_MAX + 1)).toMatchObject({ member: true, isExact: false });
  expect(at(1 + DAY_MS)).toMatchObject({ isExact: true });
});
