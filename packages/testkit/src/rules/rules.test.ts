import { create, fromJson, toJson } from "@bufbuild/protobuf";
import { RuleSchema } from "@muster/contracts/muster/segments/v1/rule_pb";
import { expect, test } from "vitest";
import {
  activeDays,
  all,
  any,
  first,
  inactiveFor,
  inSegment,
  not,
  performed,
  performedThenNot,
  type RuleInit,
  sequence,
  sum,
  trait,
} from "./index.ts";

test.each<[RuleInit, unknown]>([
  [performed("a").atLeast(2), { performed: { eventName: "a", count: { atLeast: 2 } } }],
  [
    performed("a").where("properties.b == 1").atMost(3).within("2d"),
    {
      performed: {
        eventName: "a",
        where: "properties.b == 1",
        count: { atMost: 3 },
        window: { last: "172800s" },
      },
    },
  ],
  [
    performed("a").exactly(0).within("1500ms"),
    { performed: { eventName: "a", count: { exactly: 0 }, window: { last: "1.500s" } } },
  ],
  [
    all(any(inSegment("s"), trait("traits.a == 1")), not(inactiveFor("30m"))),
    {
      all: {
        rules: [
          { any: { rules: [{ inSegment: { segmentId: "s" } }, { trait: { where: "traits.a == 1" } }] } },
          { not: { inactiveFor: { duration: "1800s" } } },
        ],
      },
    },
  ],
  [performedThenNot("a", "b"), { performedThenNot: { eventName: "a", thenNotEventName: "b" } }],
  [
    performedThenNot("a", "b", "1h"),
    { performedThenNot: { eventName: "a", thenNotEventName: "b", heldFor: "3600s" } },
  ],
  [
    sequence(["a", "b"], "10s"),
    { sequence: { steps: [{ eventName: "a" }, { eventName: "b" }], within: "10s" } },
  ],
  [
    sum("a", "total").atLeast(0.3),
    { aggregate: { function: "FUNCTION_SUM", eventName: "a", property: "total", atLeast: 0.3 } },
  ],
  [first("a").within("7d"), { occurrence: { which: "WHICH_FIRST", eventName: "a", within: "604800s" } }],
  [activeDays(3, 7, "UTC"), { activeDays: { atLeast: 3, ofLastDays: 7, timeZone: "UTC" } }],
])("builder %#", (built, json) => {
  const expected = fromJson(RuleSchema, json as never);
  expect(toJson(RuleSchema, create(RuleSchema, built))).toEqual(toJson(RuleSchema, expected));
});

test("text that is no duration is refused", () => {
  expect(() => performed("a").atLeast(1).within("1.5d")).toThrow("not a duration: 1.5d");
});
