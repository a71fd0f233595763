import { expect, test } from "vitest";
import { expectIndexed, type Plan } from "./plans.ts";

const indexed: Plan = { table: "profiles", type: "range", key: "PRIMARY", Extra: "Using where" };

test("lookups by a key pass, also lookups without a plan and derived tables", () => {
  const plans = [
    indexed,
    { ...indexed, table: null, type: "ALL" },
    { ...indexed, table: "<derived2>", type: "ALL" },
  ];
  expectIndexed(plans, "query");
  expectIndexed([{ ...indexed, Extra: "Using filesort" }], "query", { maySort: true });
});

test.each([
  ["a scan", { type: "ALL" }],
  ["a sort", { Extra: "Using where; Using filesort" }],
  ["a temporary table", { Extra: "Using temporary" }],
])("%s fails", (_, change) => {
  expect(() => expectIndexed([indexed, { ...indexed, ...change }], "query")).toThrow("query: profiles");
});
