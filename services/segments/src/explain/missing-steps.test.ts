// Tests that a profile becomes a member by performing the missing steps.
import { SeededRandom } from "@muster/core";
import { describe, expect, test } from "vitest";
import { evaluate } from "../engine/evaluation/evaluate.ts";
import { matcherOf } from "../engine/rule/matcher.ts";
import type { Comparison, EvaluatedRule } from "../engine/rule/rule.ts";
import { recordEvent } from "../engine/state/apply-events.ts";
import { Definitions } from "../engine/state/definitions.ts";
import { emptyState, type ProfileState, viewOf } from "../engine/state/profile-state.ts";
import { missingSteps } from "./missing-steps.ts";

const NOW_MS = Date.UTC(2026, 5, 1);
const HOUR_MS = 3_600_000;
const ID = "00000000-0000-7000-8000-000000000001" as never;

function explainer(rule: EvaluatedRule) {
  const definitions = new Definitions(0, [{ id: ID, rule }]);
  const state: ProfileState = emptyState();
  let events = 0;
  return {
    record(eventName: string, ms: number): void {
      events += 1;
      const event = { eventName, instant: [ms, `e${events}`] as const, properties: "{}" };
      recordEvent(state, definitions, event, ms, new Set());
    },
    evaluation: (ms: number) => evaluate(rule, viewOf(state, definitions.ruleOf), ms),
    missing(ms: number) {
      const view = viewOf(state, definitions.ruleOf);
      return missingSteps(rule, evaluate(rule, view, ms), view);
    },
  };
}

describe.each(Array.from({ length: 60 }, (_, index) => index + 1))("seed %i", (seed) => {
  test("performing the missing events in order makes the profile a member", () => {
    const random = new SeededRandom(seed);
    for (let round = 0; round < 10; round += 1) {
      const rule = randomRule(random, 2);
      const one = explainer(rule);
      const ages = Array.from({ length: random.integer(0, 6) }, () => random.integer(1, 60)).sort(
        (a, b) => b - a,
      );
      for (const age of ages) one.record(["a", "b", "c"][random.integer(0, 2)] ?? "", NOW_MS - age * HOUR_MS);
      const steps = one.missing(NOW_MS);
      if (one.evaluation(NOW_MS).member) {
        expect(steps).toEqual([]);
        continue;
      }
      expect(steps.length, JSON.stringify(rule)).toBeGreaterThan(0);
      let ms = NOW_MS;
      for (const { eventName, count } of steps) {
        for (let done = 0; done < Number(count ?? 0); done += 1) {
          ms += 1;
          one.record(eventName ?? "", ms);
        }
      }
      expect(one.evaluation(ms).member, JSON.stringify({ seed, rule, steps, ages }, bigintText)).toBe(true);
    }
  });
});

const viewed = matcherOf("viewed");
const performed = (kind: Comparison, n: number, ms?: number): EvaluatedRule => ({
  kind: "performed",
  matcher: viewed,
  count: { kind, n },
  window: ms === undefined ? undefined : { kind: "last", ms },
});

test("the shortest of several ways is returned", () => {
  const rule: EvaluatedRule = { kind: "any", rules: [performed("at_least", 5), performed("exactly", 2)] };
  expect(explainer(rule).missing(NOW_MS)).toMatchObject([{ eventName: "viewed", count: 2n }]);
});

test("a step that only time completes has an instant", () => {
  const one = explainer(performed("at_most", 1, HOUR_MS));
  one.record("viewed", NOW_MS - 1000);
  one.record("viewed", NOW_MS);
  const [step] = one.missing(NOW_MS);
  expect(step).toMatchObject({ at: { seconds: BigInt((NOW_MS - 1000 + HOUR_MS) / 1000) } });
  expect(step?.count).toBeUndefined();
});

test("nothing is returned when only undoing an event would help", () => {
  const one = explainer({ kind: "not", rule: performed("at_least", 1) });
  one.record("viewed", NOW_MS);
  expect(one.missing(NOW_MS)).toEqual([]);
});

function randomRule(random: SeededRandom, depth: number): EvaluatedRule {
  const name = () => matcherOf(["a", "b", "c"][random.integer(0, 2)]);
  const ms = random.integer(1, 48) * HOUR_MS;
  const window = random.chance(0.5) ? undefined : ({ kind: "last", ms } as const);
  // Only leaves that further events never undo, so that the steps of several leaves do not conflict.
  switch (random.integer(0, depth > 0 ? 4 : 2)) {
    case 0: {
      const kind = random.chance(0.5) ? "at_least" : "more_than";
      return { kind: "performed", matcher: name(), count: { kind, n: random.integer(1, 4) }, window };
    }
    case 1:
      return { kind: "occurrence", which: "last", matcher: name(), when: { kind: "within", ms } };
    case 2:
      return { kind: "sequence", steps: [name(), name()], withinMs: 100 * HOUR_MS, window };
    case 3:
      return { kind: "all", rules: [randomRule(random, depth - 1), randomRule(random, depth - 1)] };
    default:
      return { kind: "any", rules: [randomRule(random, depth - 1), randomRule(random, depth - 1)] };
  }
}

function bigintText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}` : value;
}
