// Tests the catalog file: the resulting types, and the line numbers of problems.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { pointsOf } from "./event-type.ts";
import { CatalogError, readCatalog } from "./read-catalog.ts";

const COMMITTED = new URL("../../../../config/events.yaml", import.meta.url);

function problemsOf(text: string): string {
  try {
    readCatalog(text, "events.yaml");
  } catch (error) {
    if (error instanceof CatalogError) return error.message;
    throw error;
  }
  return "";
}

test("the committed file contains the three types of the contract", () => {
  const types = readCatalog(readFileSync(COMMITTED, "utf8"), "config/events.yaml");
  expect(types.map(({ name, priceMillionths }) => [name, priceMillionths / 1_000_000])).toEqual([
    ["LOGIN", 1],
    ["PURCHASE", 10],
    ["REFERRAL", 20],
  ]);
});

test("prices can be zero or fractions with up to six decimals", () => {
  const text =
    "event_types:\n  - {name: a, price: 0.1}\n  - {name: b, price: 999999999.123456}\n  - {name: c, price: 0}\n";
  const prices = readCatalog(text, "f").map(({ priceMillionths }) => priceMillionths);
  expect(prices).toEqual([100_000, 999_999_999_123_456, 0]);
});

test("an empty list is a valid catalog", () => {
  expect(readCatalog("event_types: []", "f")).toEqual([]);
});

describe("an invalid file is reported with file, line and problem", () => {
  const good = "event_types:\n  - name: A\n    price: 1\n";
  test.each([
    ["nothing", "", /^events\.yaml:1: the file holds one key, event_types/],
    ["a list", "- A\n", /^events\.yaml:1: the file holds one key/],
    ["types that are no list", "event_types: 7\n", /^events\.yaml:1: the file holds one key/],
    ["no YAML", "event_types:\n  - name: [A\n    price: 1\n", /^events\.yaml:\d: /],
    ["a tab", "event_types:\n\t- name: A\n", /^events\.yaml:2: /],
    ["another key", `${good}colors: []\n`, /^events\.yaml:4: colors is not a key of the file$/],
    ["the same key twice", `${good}event_types: []\n`, /^events\.yaml:4: /],
    ["a type that is text", `${good}  - B\n`, /^events\.yaml:4: the file holds one key/],
    ["no name", "event_types:\n  - price: 1\n", /^events\.yaml:2: name is missing$/],
    [
      "an empty name",
      'event_types:\n  - name: ""\n    price: 1\n',
      /^events\.yaml:2: name must not be empty$/,
    ],
    [
      "a name that is a number",
      "event_types:\n  - name: 7\n    price: 1\n",
      /^events\.yaml:2: name must be a string$/,
    ],
    [
      "a name of 256 bytes",
      `event_types:\n  - name: ${"ä".repeat(128)}\n    price: 1\n`,
      /^events\.yaml:2: name must be at most 255 bytes$/,
    ],
    ["no price", `${good}  - name: B\n`, /^events\.yaml:4: price is missing$/],
    ["a price in words", `${good}  - name: B\n    price: ten\n`, /^events\.yaml:5: price must be a number$/],
    [
      "a negative price",
      `${good}  - name: B\n    price: -1\n`,
      /^events\.yaml:5: price must be a number from 0/,
    ],
    [
      "a price that is not a number",
      `${good}  - name: B\n    price: .nan\n`,
      /^events\.yaml:5: price must be a number from 0/,
    ],
    [
      "seven decimals",
      `${good}  - name: B\n    price: 0.1234567\n`,
      /^events\.yaml:5: price must have at most 6 decimals$/,
    ],
    [
      "an unknown field",
      `${good}    points: 3\n`,
      /^events\.yaml:4: points is not a field of an event type$/,
    ],
    ["a name twice", `${good}  - name: A\n    price: 2\n`, /^events\.yaml:4: A is listed twice$/],
    [
      "a type that is an alias",
      "event_types:\n  - &a {name: A, price: 1}\n  - *a\n",
      /^events\.yaml:3: the file holds/,
    ],
  ])("%s", (_, text, expected) => {
    expect(problemsOf(text)).toMatch(expected);
  });

  test("reports all mistakes at once", () => {
    expect(problemsOf("event_types:\n  - price: x\n  - name: 3\n").split("\n")).toEqual([
      "events.yaml:2: name is missing",
      "events.yaml:2: price must be a number",
      "events.yaml:3: name must be a string",
      "events.yaml:3: price is missing",
    ]);
  });
});

test("points are the nearest double to the exact sum", () => {
  expect([0n, 300_000n, 1n, 11_000_000n, 123_456_789_012_345n].map(pointsOf)).toEqual([
    0, 0.3, 0.000001, 11, 123456789.012345,
  ]);
  expect(pointsOf(100_000n * 3n)).not.toBe(0.1 * 3);
});
