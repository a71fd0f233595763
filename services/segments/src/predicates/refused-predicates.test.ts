// Tests which predicates are rejected when they are saved, with position and message.
import { describe, expect, test } from "vitest";
import { PredicateError } from "./parse/predicate-error.ts";
import { compilePredicate, type PredicateSubject } from "./predicate.ts";

function refusal(source: string, subject: PredicateSubject = "event"): string {
  try {
    compilePredicate(source, subject);
  } catch (error) {
    if (error instanceof PredicateError) return error.message;
    throw error;
  }
  return "accepted";
}

const SYNTAX: [source: string, message: string][] = [
  ["", "line 1, column 1: the predicate is empty"],
  [" // nothing\n", "line 2, column 1: the predicate is empty"],
  ["properties.price >", "line 1, column 19: the predicate ends where a value should be"],
  ["properties.price > 10 20", "line 1, column 23: found a number where an operator or the end should be"],
  ["properties.a\n  == $", "line 2, column 6: unexpected character $"],
  ["properties.ä == 1", "line 1, column 12: unexpected character ä"],
  ["'😀' == 'a' & true", "line 1, column 12: unexpected &; write it twice"],
  ["properties.a\u0000", "line 1, column 13: unexpected character U+0000"],
  ["properties.a = 1", "line 1, column 14: unexpected =; equality is =="],
  ["(properties.a == 1", "line 1, column 19: the predicate ends where ) should be"],
  ["properties.a[1 == 1", "line 1, column 20: the predicate ends where ] should be"],
  ["properties.a in [1 2]", "line 1, column 20: found a number where , or ] should be"],
  ["size(properties,) == 1", "line 1, column 17: found ) where a value should be"],
  ["properties. == 1", "line 1, column 13: found == where a field name should be"],
  ["properties.in == 1", 'line 1, column 12: in is a reserved word: write ["in"] for a field of that name'],
  ["while == 1", "line 1, column 1: while is a reserved word"],
  ["properties.a == 'x", "line 1, column 17: the string has no closing '"],
  ["properties.a == 'x\ny'", "line 1, column 17: the string has no closing '"],
  ["properties.a == '\\q'", "line 1, column 18: unknown escape; a backslash itself is \\\\"],
  ["properties.a == '\\ud800'", "line 1, column 18: the escape is not a Unicode character"],
  ["properties.a == '\\U00110000'", "line 1, column 18: the escape is not a Unicode character"],
  ["properties.a == b'x'", "line 1, column 17: bytes are not supported: JSON has none"],
  ["properties.a == 3u", "line 1, column 18: unsigned numbers are not supported: drop the u"],
  ["properties.a == 3px", 'line 1, column 18: a number can\'t be followed by "px"'],
  ["properties.a == 1e999", "line 1, column 17: the number is too large"],
  ["{1: 2} == properties.a", "line 1, column 2: found a number where a string as key, as in JSON should be"],
  ["{'a': 1, 'a': 2} == properties.a", "line 1, column 10: duplicate key"],
  ["Money{a: 1} == properties.a", "line 1, column 1: messages are not supported: JSON has none"],
  ["has(properties)", "line 1, column 1: has() takes one path, such as has(properties.price)"],
  ["properties.a == '\ud800'", "line 1, column 18: unpaired surrogate"],
  [
    "properties.a == 9007199254740993",
    "line 1, column 17: whole numbers above 9007199254740991 are not exact in JSON: compare them as strings",
  ],
  [
    "properties.a.exists(1, true)",
    "line 1, column 14: exists takes a name and a test, such as exists(item, item.price > 10)",
  ],
  ["properties.a.exists(x, true, true)", "line 1, column 14: exists takes a name and one test"],
];

const TYPES: [source: string, message: string][] = [
  ["price > 10", "line 1, column 1: unknown name price: write properties.price"],
  ["traits.a == 1", "line 1, column 1: unknown name traits: write properties.traits"],
  ["properties.l.exists(x, x > 1) && x > 1", "line 1, column 34: unknown name x: write properties.x"],
  ["now() > 1", "line 1, column 1: unknown function now"],
  ["properties.a.trim() == ''", "line 1, column 14: unknown function trim"],
  [
    "properties.a.matches('(a+)+$')",
    "line 1, column 14: matches is not supported: use startsWith, endsWith or contains",
  ],
  ["startsWith(properties.a, 'x')", "line 1, column 1: write value.startsWith(...)"],
  ["properties.a.int() == 1", "line 1, column 14: write int(value)"],
  ["properties.a.contains() ", "line 1, column 14: contains takes 1 argument, not 0"],
  ["size(1) == 1", "line 1, column 6: size takes a string or a list or a map, this is a number"],
  ["properties.a.startsWith(1)", "line 1, column 25: startsWith takes a string, this is a number"],
  ["5", "line 1, column 1: a predicate must be true or false, this is a number"],
  ["properties", "line 1, column 1: a predicate must be true or false, this is a map"],
  ["properties.a + 1", "line 1, column 14: a predicate must be true or false, this is a number"],
  ["properties.a == 1 && 'x'", "line 1, column 22: && takes bools, this is a string"],
  ["1 || true", "line 1, column 1: || takes bools, this is a number"],
  ["!1", "line 1, column 2: ! takes a bool, this is a number"],
  ["-'a' == 1", "line 1, column 2: - takes a number, this is a string"],
  ["1 == 'a'", "line 1, column 3: == compares a number with a string, which are never equal"],
  ["size(properties) != null", "line 1, column 18: != compares a number with null, which are never equal"],
  ["1 < 'a'", "line 1, column 3: < doesn't take a number and a string"],
  ["properties.a < null", "line 1, column 14: < doesn't take any value and null"],
  ["[1] < [2]", "line 1, column 5: < doesn't take a list and a list"],
  ["1 + 'a' == 2", "line 1, column 3: + doesn't take a number and a string"],
  ["[1] + [2] == [1, 2]", "line 1, column 5: + doesn't take a list and a list"],
  ["'a' * 2 == 'aa'", "line 1, column 5: * doesn't take a string and a number"],
  [
    "'a' in 'abc'",
    "line 1, column 5: in takes an item and a list, or a key and a map, not a string in a string",
  ],
  [
    "1 in properties",
    "line 1, column 3: in takes an item and a list, or a key and a map, not a number in a map",
  ],
  ["'a'.b == 1", 'line 1, column 1: only a map has the field "b", this is a string'],
  ["'abc'[0] == 'a'", "line 1, column 1: [] takes a list or a map, this is a string"],
  ["properties[0] == 1", "line 1, column 12: a map is indexed by a string, this is a number"],
  ["properties.a[1.5] == 1", "line 1, column 14: an index is 0, 1, 2, ..."],
  ["properties.a[-1] == 1", "line 1, column 14: an index is 0, 1, 2, ..."],
  ["1 ? true : false", "line 1, column 1: ? takes a bool, this is a number"],
  [
    "(properties.a ? 1 : 'x') == 1",
    "line 1, column 15: ? gives a number or a string: both must be of one kind",
  ],
  ["'a'.exists(x, true)", "line 1, column 1: exists walks a list or the keys of a map, this is a string"],
  ["properties.a.all(x, 1)", "line 1, column 21: the test of all is a bool, this is a number"],
  ["properties.a.all(properties, true)", "line 1, column 14: the item needs another name than properties"],
  [
    "timestamp('yesterday') < timestamp(properties.a)",
    "line 1, column 11: a timestamp is written as 2026-01-31T12:00:00Z (RFC 3339)",
  ],
  [
    "duration('1d') < duration('48h')",
    "line 1, column 10: a duration is written as 48h, 1h30m or 2.5s (units h, m, s, ms, us, ns)",
  ],
];

const BOUNDS: [what: string, source: string, message: string][] = [
  [
    "bytes",
    `properties.a == '${"é".repeat(1020)}'`,
    "line 1, column 1: the predicate has 2058 bytes, the most is 2048",
  ],
  ["brackets", `${"(".repeat(33)}true${")".repeat(33)}`, "line 1, column 33: nested more than 32 deep"],
  ["open brackets only", "(".repeat(2048), "line 1, column 33: nested more than 32 deep"],
  ["open lists only", "[".repeat(2048), "line 1, column 33: nested more than 32 deep"],
  ["open maps only", "{'a':".repeat(400), "line 1, column 161: nested more than 32 deep"],
  ["open calls only", "size(".repeat(400), "line 1, column 161: nested more than 32 deep"],
  ["signs", `${"!".repeat(2000)}true`, "line 1, column 33: nested more than 32 deep"],
  ["minuses", `${"-".repeat(2000)}1 < 1`, "line 1, column 33: nested more than 32 deep"],
  ["ternaries", `${"true ? true : ".repeat(100)}true`, "line 1, column 454: nested more than 32 deep"],
  ["paths", `properties${".a".repeat(900)}`, "line 1, column 74: nested more than 32 deep"],
  ["sums", `${"1 + ".repeat(400)}1 > 1`, "line 1, column 127: nested more than 32 deep"],
  [
    "nested comprehensions",
    "properties.a.exists(x, x.b.exists(y, y > 1))",
    "line 1, column 28: exists is not allowed inside the body of another comprehension",
  ],
  [
    "large bodies",
    `properties.a.exists(x, ${"x == 1 || ".repeat(22)}true)`,
    "line 1, column 14: the body of exists has 68 parts, the most is 64",
  ],
  [
    "costs",
    `${"properties.a.exists(x, x.b == 1) || ".repeat(30)}true`,
    "line 1, column 34: the predicate may take 120092 steps, the most is 100000",
  ],
];

describe("a predicate is rejected", () => {
  test.each(SYNTAX)("for its syntax: %j", (source, message) => {
    expect(refusal(source)).toBe(message);
  });

  test.each(TYPES)("for its types: %j", (source, message) => {
    expect(refusal(source)).toBe(message);
  });

  test.each(BOUNDS)("for its size: %s", (_what, source, message) => {
    expect(refusal(source)).toBe(message);
  });

  test("for names of the other subject", () => {
    expect(refusal("properties.a == 1", "traits")).toBe(
      "line 1, column 1: unknown name properties: write traits.properties",
    );
  });

  test("with its position as numbers too", () => {
    expect(() => compilePredicate("true &&\r\n  1", "event")).toThrow(
      expect.objectContaining({ name: "PredicateError", line: 2, column: 3 }),
    );
  });
});

describe("a predicate is accepted up to its limits", () => {
  test.each([
    ["bytes", `properties.a == '${"a".repeat(2030)}'`],
    ["brackets", `${"(".repeat(32)}true${")".repeat(32)}`],
    ["chains of &&", `${"true && ".repeat(255)}true`],
    ["lists of constants", `properties.a in [${"1234, ".repeat(330)}1]`],
    ["large bodies", `properties.a.exists(x, ${"x == 1 || ".repeat(20)}true)`],
    ["chained comprehensions", "properties.a.filter(x, x > 1).map(x, x * 2).exists(x, x == 4)"],
  ])("%s", (_what, source) => {
    expect(refusal(source)).toBe("accepted");
  });
});
