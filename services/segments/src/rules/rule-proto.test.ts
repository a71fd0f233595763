// Tests the conversion of rules from and to their proto: round trips, defaults and errors with field paths.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { RuleSchema } from "@muster/contracts/muster/segments/v1/rule_pb";
import { AppError } from "@muster/errors";
import { describe, expect, test } from "vitest";
import { leavesOf } from "../engine/rule/rule.ts";
import { decodeRule, encodeRule, ruleFromRequest } from "./rule-proto.ts";

type RuleInit = MessageInitShape<typeof RuleSchema>;

const viewed: RuleInit = {
  kind: {
    case: "performed",
    value: { eventName: "viewed", count: { condition: { case: "atLeast", value: 1 } } },
  },
};

function read(rule: RuleInit, timeZone?: string) {
  return ruleFromRequest({ rule: create(RuleSchema, rule) }, "", timeZone);
}

function refusal(rule: RuleInit): string {
  try {
    read(rule);
  } catch (error) {
    if (error instanceof AppError)
      return error.fields.map(({ field, message }) => `${field}: ${message}`).join();
  }
  return "none";
}

/** One rule of each kind, with every field set. */
const EVERY: RuleInit = {
  kind: {
    case: "all",
    value: {
      rules: [
        { kind: { case: "any", value: { rules: [viewed, { kind: { case: "not", value: viewed } }] } } },
        {
          kind: {
            case: "performed",
            value: {
              eventName: "viewed",
              where: 'properties.category == "shoes"',
              count: { condition: { case: "exactly", value: 0 } },
              window: { window: { case: "calendarDays", value: { days: 7, timeZone: "" } } },
            },
          },
        },
        {
          kind: {
            case: "performedThenNot",
            value: {
              eventName: "cart.added",
              where: "properties.n > 1",
              thenNotEventName: "bought",
              thenNotWhere: "properties.n > 2",
              heldFor: { seconds: 3600n, nanos: 5_000_000 },
            },
          },
        },
        {
          kind: {
            case: "sequence",
            value: {
              steps: [{ eventName: "a" }, { eventName: "b", where: "has(properties.x)" }],
              within: { seconds: 60n },
              window: {
                window: {
                  case: "between",
                  value: { from: { seconds: 5n }, to: { seconds: 6n, nanos: 1_000_000 } },
                },
              },
            },
          },
        },
        { kind: { case: "trait", value: { where: 'traits.plan == "pro"' } } },
        { kind: { case: "inSegment", value: { segmentId: "buyers" } } },
        { kind: { case: "inactiveFor", value: { duration: { seconds: 86_400n } } } },
        {
          kind: {
            case: "aggregate",
            value: {
              function: 2,
              eventName: "bought",
              property: "total",
              comparison: { case: "lessThan", value: 2.5 },
              window: { window: { case: "last", value: { seconds: 1n } } },
            },
          },
        },
        {
          kind: {
            case: "occurrence",
            value: { which: 2, eventName: "bought", condition: { case: "before", value: { seconds: 7n } } },
          },
        },
        { kind: { case: "activeDays", value: { atLeast: 2, ofLastDays: 7, timeZone: "Asia/Tokyo" } } },
      ],
    },
  },
};

test("every kind is stored and read back as it was, with the time zone that it had when saved", () => {
  const rule = read(EVERY, "Europe/Berlin");
  const stored = encodeRule(rule);
  expect(stored).toContain('"timeZone":"Europe/Berlin"');
  expect(encodeRule(decodeRule(stored))).toBe(stored);
  expect(new Set(leavesOf(rule).map(({ kind }) => kind)).size).toBe(9);
});

test("a time zone is stored in its usual spelling, as for organizations", () => {
  const value = { atLeast: 1, ofLastDays: 2, timeZone: "europe/berlin" };
  expect(read({ kind: { case: "activeDays", value } })).toMatchObject({ timeZone: "Europe/Berlin" });
});

test("the rule of an earlier version still reads", () => {
  const stored = '{"performedThenNot":{"eventName":"cart.added","thenNotEventName":"order.completed"}}';
  expect(decodeRule(stored)).toMatchObject({ kind: "performed_then_not", heldForMs: 0 });
});

describe("a rejected rule names its field", () => {
  const nest = (levels: number): RuleInit =>
    levels === 1 ? viewed : { kind: { case: "not", value: nest(levels - 1) } };
  const wide = (leaves: number): RuleInit => ({
    kind: { case: "any", value: { rules: Array.from({ length: leaves }, () => viewed) } },
  });
  const performed = (value: object): RuleInit => ({
    kind: {
      case: "performed",
      value: { eventName: "viewed", count: { condition: { case: "atLeast", value: 1 } }, ...value },
    },
  });

  const costly = (leaves: number, where: (index: number) => string): RuleInit => {
    const rules = Array.from({ length: leaves }, (_, index) => performed({ where: where(index) }));
    return { kind: { case: "any", value: { rules } } };
  };
  const durations = Array.from({ length: 12 }, () => "duration(i) < duration(i)").join(" || ");

  test.each<[string, RuleInit, string]>([
    ["64 plain predicates", costly(64, (n) => `properties.name == "${n}" && properties.price > 10`), "none"],
    ["64 comprehensions", costly(64, (n) => `properties.items.exists(i, i.qty == ${n})`), "none"],
    ["32 costly predicates", costly(32, (n) => `properties.a.contains(properties.b + "${n}")`), "none"],
    [
      "33 costly predicates",
      costly(33, (n) => `properties.a.contains(properties.b + "${n}")`),
      "rule: has predicates that may take 34603008 units of work on one event, the most is 33554432",
    ],
    [
      "64 lists of durations",
      costly(64, (n) => `properties.l.exists(i, ${durations}) || properties.n == ${n}`),
      "rule: has predicates that may take 67108864 units",
    ],
    [
      "64 equal predicates, which are evaluated once",
      costly(64, () => `properties.l.exists(i, ${durations})`),
      "none",
    ],
    ["eight levels", nest(8), "none"],
    ["nine levels", nest(9), "levels"],
    ["64 leaves", wide(64), "none"],
    ["65 leaves", wide(65), "rule: has 65 leaves"],
    ["nothing", {}, "rule: is required"],
    ["an empty all", { kind: { case: "all", value: {} } }, "rule.all.rules: is required"],
    [
      "a predicate with an error, deep in a tree",
      { kind: { case: "all", value: { rules: [viewed, performed({ where: "properties.x +" })] } } },
      "rule.all.rules[1].performed.where: line 1",
    ],
    [
      "a large count with a moving window",
      performed({
        count: { condition: { case: "atMost", value: 1001 } },
        window: { window: { case: "last", value: { seconds: 1n } } },
      }),
      "rule.performed.count.at_most: must be at most 1000",
    ],
    [
      "a part of a millisecond",
      performed({ window: { window: { case: "last", value: { nanos: 1_500_000 } } } }),
      "rule.performed.window.last: must be whole milliseconds",
    ],
    [
      "a window that ends before it begins",
      performed({
        window: { window: { case: "between", value: { from: { seconds: 2n }, to: { seconds: 2n } } } },
      }),
      "rule.performed.window.between.to: must be after",
    ],
    [
      "an unknown time zone",
      performed({
        window: { window: { case: "calendarDays", value: { days: 1, timeZone: "Mars/Olympus" } } },
      }),
      "rule.performed.window.calendar_days.time_zone: must be an IANA time zone",
    ],
    [
      "an offset in place of a time zone",
      { kind: { case: "activeDays", value: { atLeast: 1, ofLastDays: 2, timeZone: "+05:45" } } },
      "rule.active_days.time_zone: must be an IANA time zone",
    ],
    [
      "more days than there are",
      { kind: { case: "activeDays", value: { atLeast: 3, ofLastDays: 2 } } },
      "rule.active_days.at_least",
    ],
    [
      "a longer window than ten years",
      { kind: { case: "inactiveFor", value: { duration: { seconds: 315_360_001n } } } },
      "rule.inactive_for.duration: must be at most 3650 days",
    ],
  ])("%s", (_name, rule, expected) => {
    expect(refusal(rule)).toContain(expected);
  });
});
