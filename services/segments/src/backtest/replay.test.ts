// Compares a replay with the reference evaluator at the end of every day, and checks that the changes add up.
import { SeededRandom } from "@muster/core";
import { describe, expect, test } from "vitest";
import { isMemberByRawEvents, type RawEvent } from "../engine/reference/reference-evaluator.ts";
import { matcherOf } from "../engine/rule/matcher.ts";
import type { EvaluatedRule, Window } from "../engine/rule/rule.ts";
import { RuleSimulation } from "../simulation/rule-simulation.ts";
import { DailyCounts } from "./daily-counts.ts";
import { Replay, type WorkMeter } from "./replay.ts";

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2026, 2, 31, 9, 30, 0, 123);
const NAMES = ["a", "b"];
const COMPARISONS = ["at_least", "more_than", "exactly", "at_most", "less_than"] as const;

function replay(
  rule: EvaluatedRule,
  createMs: number,
  events: readonly RawEvent[],
  days: number,
  meter: WorkMeter = { spend: () => {} },
): DailyCounts {
  const dailyCounts = new DailyCounts(NOW_MS, days);
  const one = new Replay(new RuleSimulation(rule, []), { createMs, traits: "{}" }, dailyCounts, meter);
  for (const [index, { eventName, ms, properties = "{}" }] of [...events]
    .sort((a, b) => a.ms - b.ms)
    .entries()) {
    one.record({ eventName, instant: [ms, `${index}`], properties });
  }
  one.finish();
  return dailyCounts;
}

describe.each(Array.from({ length: 40 }, (_, index) => index + 1))("seed %i", (seed) => {
  const random = new SeededRandom(seed);

  test("members at the end of each day", () => {
    for (let round = 0; round < 10; round += 1) {
      const rule = randomRule(random, 2);
      const events = Array.from({ length: random.integer(0, 12) }, () => randomEvent(random));
      const createMs = NOW_MS - random.integer(0, 14 * DAY_MS);
      const dailyCounts = replay(rule, createMs, events, 7);
      // A profile exists from its creation or its first event on.
      const bornMs = Math.min(createMs, ...events.map(({ ms }) => ms));
      const isMember = (ms: number) =>
        ms >= bornMs && isMemberByRawEvents(rule, events, ms, { createMs }) ? 1 : 0;

      let members = dailyCounts.membersBefore;
      const what = JSON.stringify({ seed, rule, events, createMs });
      expect(members, what).toBe(isMember(dailyCounts.startMs - 1));
      for (const [day, { entries, exits }] of dailyCounts.days.entries()) {
        members += entries - exits;
        const endMs = Math.min(NOW_MS, dailyCounts.startMs + (day + 1) * DAY_MS - 1);
        expect(members, `${dailyCounts.dateOf(day)} of ${what}`).toBe(isMember(endMs));
      }
    }
  });
});

test("an hour of membership is an entry and an exit, at whatever time of day", () => {
  const rule: EvaluatedRule = performed("a", 1, { kind: "last", ms: 3_600_000 });
  const at = Date.UTC(2026, 2, 29, 23, 30);
  const dailyCounts = replay(rule, 0, [{ eventName: "a", ms: at }], 3);
  expect(dailyCounts.days).toEqual([
    { entries: 1, exits: 0 },
    { entries: 0, exits: 1 },
    { entries: 0, exits: 0 },
  ]);
  expect(dailyCounts.days.map((_, day) => dailyCounts.dateOf(day))).toEqual([
    "2026-03-29",
    "2026-03-30",
    "2026-03-31",
  ]);
});

test("events of one instant count together, and future events do not count", () => {
  const rule: EvaluatedRule = {
    kind: "performed_then_not",
    matcher: matcherOf("a"),
    thenNot: matcherOf("b"),
    heldForMs: 0,
  };
  const ms = NOW_MS - DAY_MS;
  const together = replay(
    rule,
    0,
    ["a", "b"].map((eventName) => ({ eventName, ms })),
    3,
  );
  expect(together.days.every(({ entries, exits }) => entries === 0 && exits === 0)).toBe(true);
  const future = replay(rule, 0, [{ eventName: "a", ms: NOW_MS + 1 }], 3);
  expect(future.days.every(({ entries }) => entries === 0)).toBe(true);
});

describe("work", () => {
  /** Units of the replay of a profile with an event every minute. */
  function unitsOf(rule: EvaluatedRule, count: number): number {
    let units = 0;
    const events = Array.from({ length: count }, (_, index) => ({
      eventName: "a",
      ms: NOW_MS - (count - index) * 60_000,
      properties: '{"price":1}',
    }));
    replay(rule, 0, events, 30, {
      spend: (more) => {
        units += more;
      },
    });
    return units;
  }

  test("a windowed sum costs a bounded number of units for each event", () => {
    const sum = (value: number): EvaluatedRule => ({
      kind: "aggregate",
      function: "sum",
      matcher: matcherOf("a"),
      property: "price",
      window: { kind: "last", ms: 3_600_000 },
      comparison: { kind: "less_than", value },
    });
    // A unit for the event, for the evaluation at the event, and for the evaluation as the event leaves.
    expect(unitsOf(sum(1), 4_000)).toBeLessThanOrEqual(3 * 4_000 + 10);
  });

  test("a meter that throws ends the replay in the middle, and the profile adds nothing", () => {
    const dailyCounts = new DailyCounts(NOW_MS, 3);
    const simulation = new RuleSimulation(performed("a", 1), []);
    let left = 2;
    const meter: WorkMeter = {
      spend: (units) => {
        left -= units;
        if (left < 0) throw new Error("spent");
      },
    };
    const one = new Replay(simulation, { createMs: 0, traits: "{}" }, dailyCounts, meter);
    one.record({ eventName: "a", instant: [NOW_MS - 1_000, "1"], properties: "{}" });
    expect(() => one.finish()).toThrow("spent");
    expect(dailyCounts.membersBefore).toBe(0);
    expect(dailyCounts.days.every(({ entries }) => entries === 0)).toBe(true);
  });
});

function performed(eventName: string, n: number, window?: Window): EvaluatedRule {
  return { kind: "performed", matcher: matcherOf(eventName), count: { kind: "at_least", n }, window };
}

function randomEvent(random: SeededRandom): RawEvent {
  const eventName = NAMES[random.integer(0, 1)] ?? "";
  // Often at a multiple of an hour, so that instants meet the edges of windows and of days.
  const agoMs = random.chance(0.5)
    ? random.integer(-24, 12 * 24) * 3_600_000
    : random.integer(-DAY_MS, 12 * DAY_MS);
  // Plain addition would round the sums of these numbers.
  const price = [-3, -0.1, 0, 0.1, 0.2, 7, 1e16][random.integer(0, 6)];
  return { eventName, ms: NOW_MS - agoMs, properties: JSON.stringify({ price }) };
}

function randomRule(random: SeededRandom, depth: number): EvaluatedRule {
  const matcher = matcherOf(NAMES[random.integer(0, 1)]);
  const other = matcherOf(NAMES[random.integer(0, 1)]);
  const ms = random.integer(1, 72) * 3_600_000;
  const window: Window | undefined = random.chance(0.3)
    ? undefined
    : random.chance(0.5)
      ? { kind: "last", ms }
      : { kind: "calendar_days", days: random.integer(1, 4), timeZone: "Europe/Berlin" };
  const child = () => randomRule(random, depth - 1);
  switch (random.integer(0, depth > 0 ? 9 : 6)) {
    case 0: {
      const kind = (["at_least", "exactly", "at_most"] as const)[random.integer(0, 2)] ?? "at_least";
      return { kind: "performed", matcher, count: { kind, n: random.integer(1, 3) }, window };
    }
    case 1:
      return { kind: "performed_then_not", matcher, thenNot: other, heldForMs: random.chance(0.5) ? 0 : ms };
    case 2:
      return { kind: "sequence", steps: [matcher, other], withinMs: ms, window };
    case 3:
      return { kind: "inactive_for", ms };
    case 4:
      return { kind: "occurrence", which: "last", matcher, when: { kind: "within", ms } };
    case 5:
      return { kind: "active_days", matcher, atLeast: 2, ofLastDays: 4, timeZone: "Europe/Berlin" };
    case 6:
      return {
        kind: "aggregate",
        function: (["sum", "average", "min", "max"] as const)[random.integer(0, 3)] ?? "sum",
        matcher,
        property: "price",
        window,
        comparison: {
          kind: COMPARISONS[random.integer(0, 4)] ?? "at_least",
          value: [-3, 0, 0.1, 0.3, 7, 1e16][random.integer(0, 5)] ?? 0,
        },
      };
    case 7:
      return { kind: "all", rules: [child(), child()] };
    case 8:
      return { kind: "any", rules: [child(), child()] };
    default:
      return { kind: "not", rule: child() };
  }
}
