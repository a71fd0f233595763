// Tests edge cases of the engine by name: ties, window ends, deeper rules over shallower facts, pruning.
import type { EvaluationId } from "@muster/core";
import { describe, expect, test } from "vitest";
import { evaluate } from "./evaluation/evaluate.ts";
import {
  applyToCountFacts,
  type CountFacts,
  type EventInstant,
  emptyCountFacts,
  nthNewest,
} from "./facts/count-facts.ts";
import { matcherOf } from "./rule/matcher.ts";
import type { EvaluatedRule } from "./rule/rule.ts";
import { type EngineEvent, recordEvent } from "./state/apply-events.ts";
import { Definitions, type SegmentDefinition } from "./state/definitions.ts";
import { evaluateAll, evaluateSegments } from "./state/membership.ts";
import { emptyState, isEmptyState, needsRebuild, prune, viewOf } from "./state/profile-state.ts";
import { SCHEDULED_EVENTS_MAX } from "./state/scheduled-events.ts";

const viewedTwiceLately: EvaluatedRule = {
  kind: "performed",
  matcher: matcherOf("viewed"),
  count: { kind: "at_least", n: 2 },
  window: { kind: "last", ms: 100 },
};
const abandoned: EvaluatedRule = {
  kind: "performed_then_not",
  matcher: matcherOf("cart.added"),
  thenNot: matcherOf("order.completed"),
  heldForMs: 0,
};

function define(...rules: EvaluatedRule[]): Definitions {
  return new Definitions(
    1,
    rules.map((rule, index) => ({ id: `s${index}` as EvaluationId, rule })),
  );
}

function viewOfFacts(facts: CountFacts) {
  const state = emptyState();
  state.facts.set(matcherOf("viewed").key, facts);
  return viewOf(state, define().ruleOf);
}

describe("a window (now - d, now]", () => {
  test("holds to the last millisecond and ends exactly at the n-th newest + d", () => {
    const facts = emptyCountFacts();
    applyToCountFacts(facts, [1000, "x"], 2);
    applyToCountFacts(facts, [1050, "y"], 2);
    const at = (nowMs: number) => evaluate(viewedTwiceLately, viewOfFacts(facts), nowMs);
    expect(at(1099)).toMatchObject({ member: true, nextChangeAt: 1100 });
    expect(at(1100)).toMatchObject({ member: false, nextChangeAt: undefined });
  });

  test("a late event takes its place by when it happened", () => {
    const facts = emptyCountFacts();
    for (const ms of [1050, 1000, 1040]) applyToCountFacts(facts, [ms, `e${ms}`], 2);
    expect(facts).toMatchObject({ total: 3, first: [1000, "e1000"] });
    expect(facts.newest).toEqual([
      [1050, "e1050"],
      [1040, "e1040"],
    ]);
  });

  test("equal instants count one by one", () => {
    const facts = emptyCountFacts();
    applyToCountFacts(facts, [1000, "x"], 2);
    applyToCountFacts(facts, [1000, "y"], 2);
    expect(evaluate(viewedTwiceLately, viewOfFacts(facts), 1000).member).toBe(true);
  });
});

test("facts kept for a shallower rule never guess dropped instants", () => {
  const facts = emptyCountFacts();
  for (const ms of [10, 20, 30]) applyToCountFacts(facts, [ms, `e${ms}`], 2);
  // The rule is deeper now. 5 is older than 20, but 10 was dropped: the third newest is unknown.
  applyToCountFacts(facts, [5, "late"], 4);
  expect(nthNewest(facts, 3)).toBeUndefined();
  applyToCountFacts(facts, [40, "new"], 4);
  expect(facts.newest.map(([ms]) => ms)).toEqual([40, 30, 20]);
});

describe("A, then no B at once", () => {
  test.each([
    { cart: [1], order: [], member: true },
    { cart: [1], order: [2], member: false },
    { cart: [2], order: [2], member: false },
    { cart: [3], order: [2], member: true },
    { cart: [1, 3], order: [2], member: true },
    { cart: [], order: [2], member: false },
  ])("carts at $cart and orders at $order: $member", ({ cart, order, member }) => {
    const definitions = define(abandoned);
    const state = emptyState();
    for (const ms of order) {
      recordEvent(
        state,
        definitions,
        { eventName: "order.completed", instant: [ms, "o"], properties: "{}" },
        9,
        new Set(),
      );
    }
    for (const ms of cart) {
      recordEvent(
        state,
        definitions,
        { eventName: "cart.added", instant: [ms, "c"], properties: "{}" },
        9,
        new Set(),
      );
    }
    expect(evaluate(abandoned, viewOf(state, definitions.ruleOf), 9)).toMatchObject({
      member,
      nextChangeAt: undefined,
    });
  });
});

describe("segments that refer to others", () => {
  const chain = (length: number, last: EvaluatedRule): EvaluatedRule[] => {
    const back = (index: number): EvaluatedRule => ({
      kind: "in_segment",
      segmentId: `s${index}` as EvaluationId,
    });
    // Each refers to the previous segment twice: without caching, evaluation would take 2^length steps.
    const links = Array.from(
      { length },
      (_, index): EvaluatedRule => ({ kind: "any", rules: [back(index), back(index)] }),
    );
    return [last, ...links];
  };

  test("change in the same evaluation, however long the chain", () => {
    const definitions = define(...chain(999, viewedTwiceLately));
    const state = emptyState();
    const changedSegments = new Set<SegmentDefinition>();
    for (const ms of [5, 6]) {
      const event: EngineEvent = { eventName: "viewed", instant: [ms, `e${ms}`], properties: "{}" };
      recordEvent(state, definitions, event, 9, changedSegments);
    }
    const { changes, nextDueMs } = evaluateSegments(state, definitions, changedSegments, 9);
    expect(changes).toHaveLength(1000);
    expect(nextDueMs).toBe(105);
    expect(evaluateAll(state, definitions, 105).changes).toHaveLength(1000);
    const last = definitions.ruleOf("s999" as EvaluationId);
    expect(last && evaluate(last, viewOf(state, definitions.ruleOf), 9)).toMatchObject({ nextChangeAt: 105 });
  });

  test("in a cycle, which cannot be saved, do not hold and do not hang", () => {
    const definitions = define(
      { kind: "in_segment", segmentId: "s1" as EvaluationId },
      { kind: "any", rules: [{ kind: "in_segment", segmentId: "s0" as EvaluationId }, viewedTwiceLately] },
      { kind: "in_segment", segmentId: "s2" as EvaluationId },
    );
    expect(evaluateAll(emptyState(), definitions, 9).changes).toEqual([]);
  });
});

test("scheduled events are bounded, and the soonest dropped event requires a rebuild", () => {
  const definitions = define(abandoned);
  const state = emptyState();
  for (let index = SCHEDULED_EVENTS_MAX + 3; index > 0; index -= 1) {
    const instant: EventInstant = [1000 + index, `e${index}`];
    const event = { eventName: "cart.added", instant, properties: "{}" };
    recordEvent(state, definitions, event, 1000, new Set());
  }
  expect(state.scheduledEvents).toHaveLength(SCHEDULED_EVENTS_MAX);
  expect(state.scheduledEvents[0]?.instant[0]).toBe(1001);
  expect(state.rebuildDueMs).toBe(1000 + SCHEDULED_EVENTS_MAX + 1);
  expect(needsRebuild(state, 1000 + SCHEDULED_EVENTS_MAX)).toBe(false);
  expect(needsRebuild(state, 1000 + SCHEDULED_EVENTS_MAX + 1)).toBe(true);
});

test("an event that no segment reads leaves no trace", () => {
  const state = emptyState();
  recordEvent(
    state,
    define(abandoned),
    { eventName: "viewed", instant: [1, "x"], properties: "{}" },
    9,
    new Set(),
  );
  expect(isEmptyState(state)).toBe(true);
});

test("pruning drops exactly what no segment reads any more", () => {
  const state = emptyState();
  const both = define(abandoned, viewedTwiceLately);
  recordEvent(state, both, { eventName: "cart.added", instant: [1, "x"], properties: "{}" }, 9, new Set());
  recordEvent(state, both, { eventName: "viewed", instant: [2, "y"], properties: "{}" }, 9, new Set());
  recordEvent(state, both, { eventName: "viewed", instant: [20, "z"], properties: "{}" }, 9, new Set());
  state.memberships.set("s0" as EvaluationId, 9).set("s1" as EvaluationId, 9);
  expect(prune(state, both)).toBe(false);
  expect(prune(state, define(abandoned))).toBe(true);
  expect([...state.facts.keys()]).toEqual([matcherOf("cart.added").key]);
  expect([...state.memberships.keys()]).toEqual(["s0"]);
  expect(state.scheduledEvents).toEqual([]);
});

test("matcher keys are stable: facts are stored under them", () => {
  expect(matcherOf("cart.added").key).toBe("NI7HssEnBS9SUDCi9YMr5A");
  expect(matcherOf("cart.added ").key).not.toBe(matcherOf("cart.added").key);
});
