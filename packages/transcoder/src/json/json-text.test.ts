import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nestsWithin, readKeepingNumbers } from "./json-text.ts";
import { parseJson } from "./parse-json.ts";

describe("nesting", () => {
  test.each<[string, number, boolean]>([
    ["[[]]", 2, true],
    ["[[]]", 1, false],
    ["[[],[],[]]", 2, true],
    ['{"a":{"b":[]}}', 3, true],
    ['{"a":{"b":[]}}', 2, false],
    ['["[[[[[["]', 1, true],
    ['["\\"[[[[[["]', 1, true],
    ['["\\\\",[[]]]', 2, false],
    ['["\\\\\\"[[[["]', 1, true],
    ['["[[[[', 1, true],
    ["[[[[", 3, false],
    ["", 0, true],
  ])("%s within %i: %s", (text, depth, expected) => {
    expect(nestsWithin(text, depth)).toBe(expected);
  });
});

test("what is read equals what JSON.parse reads, and is written as it was", () => {
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 4, noUnicodeString: false }),
      fc.constantFrom(undefined, 1, "\t"),
      (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(JSON.stringify(readKeepingNumbers(text))).toBe(JSON.stringify(JSON.parse(text)));
      },
    ),
    { numRuns: 500 },
  );
});

test.each([
  "1.0",
  "-0",
  "0.00000001",
  "1E5",
  "9007199254740993",
  "[1.10,-2.50,true,false,null]",
  '{"__proto__":1.0,"a":"\\u00e9\\"1.0"}',
])("%s survives", (text) => {
  expect(JSON.stringify(readKeepingNumbers(text))).toBe(text.replace("\\u00e9", "é"));
});

test("the last of equal keys wins", () => {
  expect(JSON.stringify(readKeepingNumbers('{"a":1.0,"b":2,"a":3.0}'))).toBe('{"a":3.0,"b":2}');
});

test("the largest body that means no good is read in a moment", () => {
  const options = { ignoreUnknown: true, keepNumbers: true };
  const longArray = `{"a":[${"1.10,".repeat(800_000)}1]}`;
  const start = performance.now();
  parseJson(longArray, options);
  for (const deep of ["[".repeat(4_000_000), `${"[".repeat(2_000_000)}${"]".repeat(2_000_000)}`]) {
    expect(() => parseJson(deep, options)).toThrow("nested deeper");
  }
  // About 0.2 s alone; a second reader of JSON.parse's kind with a reviver took several seconds.
  expect(performance.now() - start).toBeLessThan(3_000);
});
