// Tests the units of work that an evaluation charges, and their bound when a predicate is saved.
import { EVENT_BYTES_MAX } from "@muster/core";
import { expect, test } from "vitest";
import { EVALUATION_UNITS_MAX } from "./parse/limits.ts";
import { compilePredicate } from "./predicate.ts";
import type { JsonObject } from "./values/values.ts";

const UNLIMITED = Number.POSITIVE_INFINITY;
const any = (times: number, term: (index: number) => string) =>
  Array.from({ length: times }, (_, index) => term(index)).join(" || ");
const textOf = (unit: string, length = EVENT_BYTES_MAX - 100) => unit.repeat(length / unit.length);
const listOf = (item: unknown, length = 1000) => Array.from({ length }, () => item);
const mapOf = (length: number) =>
  Object.fromEntries(listOf(1, length).map((_, index) => [index.toString(36), 1]));
const TIMESTAMP = "2026-01-31T12:00:00.123456789+05:45";
const DURATION = "1h2m3.123456789s4ms5us6ns1h2m3s4ms5us";

/** Predicates and data that make the most of one function or operator. */
const HOSTILE: readonly (readonly [name: string, source: string, data: JsonObject])[] = [
  [
    "duration",
    `properties.l.exists(i, ${any(12, () => "duration(i) < duration(i)")})`,
    { l: listOf(DURATION) },
  ],
  [
    "short durations",
    `properties.l.exists(i, ${any(12, () => "duration(i) < duration(i)")})`,
    { l: listOf("1h") },
  ],
  [
    "timestamp",
    `properties.l.exists(i, ${any(12, () => "timestamp(i) != timestamp(i)")})`,
    { l: listOf(TIMESTAMP) },
  ],
  ["lowerAscii", any(9, (i) => `properties.a.lowerAscii() == 'x${i}'`), { a: textOf("aB") }],
  [
    "upperAscii",
    `properties.l.exists(i, ${any(9, (i) => `i.upperAscii() == 'x${i}'`)})`,
    { l: listOf(textOf("aB", 120)) },
  ],
  ["contains", "properties.a.contains(properties.b)", { a: textOf("a", 65_000), b: `${textOf("a", 1000)}b` }],
  ["contains a constant", any(9, (i) => `properties.a.contains('aaab${i}')`), { a: textOf("a") }],
  [
    "startsWith",
    any(9, () => "properties.a.startsWith(properties.b)"),
    { a: textOf("a", 65_000), b: `${textOf("a", 60_000)}b` },
  ],
  ["size of a text", any(9, (i) => `properties.a.size() == ${i}`), { a: textOf("a") }],
  ["size of a map", any(9, (i) => `size(properties.a) == ${i}`), { a: mapOf(13_000) }],
  ["keys of a map", any(3, (i) => `properties.a.exists(k, k == 'x${i}')`), { a: mapOf(1000) }],
  [
    "equal lists",
    any(9, () => "properties.a != properties.b"),
    { a: listOf(1, 30_000), b: listOf(1, 30_000) },
  ],
  ["equal maps", any(9, () => "properties.a != properties.b"), { a: mapOf(6000), b: mapOf(6000) }],
  [
    "order of texts",
    any(9, () => "properties.a < properties.b"),
    { a: textOf("a", 65_000), b: textOf("a", 65_000) },
  ],
  [
    "joined texts",
    any(9, () => "(properties.a + properties.b).endsWith('q')"),
    { a: textOf("a", 65_000), b: textOf("a", 65_000) },
  ],
  ["in", any(9, (i) => `'x${i}' in properties.a`), { a: listOf("abcd", 18_000) }],
  ["int", `properties.l.exists(i, ${any(12, (i) => `int(i) == ${i}`)})`, { l: listOf("1234567890123456") }],
  ["string", `properties.l.exists(i, ${any(12, () => "string(i) == 'q'")})`, { l: listOf(12_345.678) }],
  [
    "texts of map",
    "properties.l.map(i, i + properties.b).exists(x, x.endsWith('q'))",
    { l: listOf("a"), b: textOf("b", 1000) },
  ],
  [
    "keys in a map",
    `properties.l.exists(i, ${any(9, () => "i in properties.m")})`,
    { l: listOf(textOf("z", 60)), m: {} },
  ],
  ["nodes", `properties.l.exists(i, ${any(15, (i) => `i.a == ${i + 5}`)})`, { l: listOf({ a: 1 }) }],
];

test.each(HOSTILE)(
  "%s: the largest data costs no more than the bound, and is not free",
  (_name, source, data) => {
    expect(JSON.stringify(data).length).toBeLessThanOrEqual(EVENT_BYTES_MAX);
    const { worstCaseUnits, matchesWithin } = compilePredicate(source, "event");
    const { units } = matchesWithin(UNLIMITED, data);
    expect(units).toBeLessThanOrEqual(worstCaseUnits);
    expect(worstCaseUnits).toBeLessThanOrEqual(EVALUATION_UNITS_MAX);
    // At least a unit for each character of the data that the predicate reads.
    expect(units).toBeGreaterThan(10_000);
  },
);

test.each([
  ["durations", HOSTILE[0]],
  ["timestamps", HOSTILE[2]],
])("%s of a long list end the evaluation at its limit", (_name, hostile) => {
  const [, source = "", data = {}] = hostile ?? [];
  expect(compilePredicate(source, "event").evaluate(data)).toEqual({
    holds: false,
    problem: "the data is too large for this predicate",
  });
});

test("a plain predicate has a small bound", () => {
  for (const source of [
    "properties.price > 10 && properties.category in ['shoes', 'boots']",
    "has(properties.plan) && properties.plan != 'free'",
    "properties.name.startsWith('Shoes') || properties.a + 1 > properties.b",
  ]) {
    expect(compilePredicate(source, "event").worstCaseUnits, source).toBeLessThan(EVENT_BYTES_MAX * 2);
  }
});

test("a budget ends an evaluation without a result, the limit of an evaluation with false", () => {
  const predicate = compilePredicate("properties.a.contains('b')", "event");
  const data = { a: textOf("a", 1000) };
  const { units } = predicate.matchesWithin(UNLIMITED, data);
  expect(predicate.matchesWithin(units, data)).toEqual({ holds: false, units });
  expect(predicate.matchesWithin(units - 1, data)).toEqual({ holds: undefined, units: units - 1 });
  const costly = compilePredicate(
    any(9, (i) => `properties.a.contains('aaab${i}')`),
    "event",
  );
  const large = { a: textOf("a") };
  expect(costly.matchesWithin(UNLIMITED, large)).toEqual({ holds: false, units: EVALUATION_UNITS_MAX });
  expect(costly.matchesWithin(EVALUATION_UNITS_MAX, large).holds).toBe(false);
  expect(costly.matchesWithin(EVALUATION_UNITS_MAX - 1, large).holds).toBeUndefined();
});
