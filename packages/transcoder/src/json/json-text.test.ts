import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exceededLimit, readKeepingNumbers } from "./json-text.ts";
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
  ])("%s within %i: %s", (text, depthMax, isWithin) => {
    const limits = { depthMax, valuesMax: Infinity, keysMax: Infinity };
    expect(exceededLimit(text, limits)).toBe(isWithin ? undefined : "depthMax");
  });
});

describe("counts", () => {
  test.each<[string, number]>([
    ["[1,2,3]", 4],
    ["[{},{}]", 3],
    ['{"a":1,"b":[1,2],"c":{"d":null}}', 7],
    ['{"a,:[{":",,::"}', 2],
  ])("%s has %i values", (text, values) => {
    const limits = { depthMax: 9, valuesMax: values, keysMax: 9 };
    expect(exceededLimit(text, limits)).toBeUndefined();
    expect(exceededLimit(text, { ...limits, valuesMax: values - 1 })).toBe("valuesMax");
  });

  test.each<[string, number]>([
    ['{"a":1,"b":2}', 2],
    ['[{"a":1},{"b":2},{"c":{"d":3}}]', 1],
    ['{"a":{"b":1,"c":2,"d":3},"e":1}', 3],
  ])("%s has at most %i keys in an object", (text, keys) => {
    const limits = { depthMax: 9, valuesMax: 99, keysMax: keys };
    expect(exceededLimit(text, limits)).toBeUndefined();
    expect(exceededLimit(text, { ...limits, keysMax: keys - 1 })).toBe("keysMax");
  });
});

test("what is read equals what JSON.parse reads, and is written as it was", async () => {
  await checkProperty(
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

test("a body of 4 MiB that means no good is refused before a value is built", () => {
  const options = { ignoreUnknown: true, keepNumbers: true };
  for (const [text, message] of [
    ["[".repeat(4_000_000), "nested deeper"],
    [`${"[".repeat(2_000_000)}${"]".repeat(2_000_000)}`, "nested deeper"],
    [`{"events":[${"{},".repeat(1_390_000)}{}]}`, "more than 250000 values"],
    [`{"a":[${"1.10,".repeat(800_000)}1]}`, "more than 250000 values"],
    [`{${Array.from({ length: 10_001 }, (_, index) => `"k${index}":1`).join()}}`, "more than 10000 keys"],
  ] as const) {
    expect(() => parseJson(text, options)).toThrow(message);
  }
});

test("the largest body that is taken keeps its numbers", () => {
  const options = { ignoreUnknown: true, keepNumbers: true };
  const { value, context } = parseJson(`{"a":[${"1.10,".repeat(249_000)}1.0]}`, options);
  expect(context.exact).toBe(true);
  expect((value as { a: unknown[] }).a).toHaveLength(249_001);
});
