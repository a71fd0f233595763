import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, jsonObjectProblem, sameJson } from "./json-object.ts";

describe("sameJson", () => {
  test.each([
    ['{"a":1,"b":2}', ' { "b" : 2 , "a" : 1 } '],
    ['{"a":1500}', '{"a":1.50e3}'],
    ['{"a":0}', '{"a":-0.000}'],
    ['{"a":1e400}', '{"a":10e399}'],
    ['{"a":"\\u00e9\\/"}', '{"a":"é/"}'],
    ['{"a":1,"a":2}', '{"a":2}'],
    ['{"__proto__":{"x":1}}', '{ "__proto__":{"x":1.0}}'],
  ])("%s is %s", (left, right) => {
    expect(sameJson(left, right)).toBe(true);
  });

  test.each([
    ['{"a":9007199254740993}', '{"a":9007199254740992}'],
    ['{"a":0.1}', '{"a":0.10000000000000000001}'],
    ['{"a":1e400}', '{"a":1e401}'],
    ['{"a":"1"}', '{"a":1}'],
    ['{"a":null}', "{}"],
    ['{"a":[1,2]}', '{"a":[2,1]}'],
    ['{"a":[]}', '{"a":{}}'],
    ['{"__proto__":{"x":1}}', '{"__proto__":{"x":2}}'],
    ['{"a":"\\ud800"}', '{"a":"\\ud801"}'],
    ['{"a":"e1"}', '{"a":1e0}'],
  ])("%s is not %s", (left, right) => {
    expect(sameJson(left, right)).toBe(false);
  });

  test("an object equals every spelling of itself, and no other object", async () => {
    await checkProperty(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        expect(sameJson(JSON.stringify(value), JSON.stringify(reversed, null, 2))).toBe(true);
        const more = JSON.stringify({ ...value, more: 1 });
        expect(sameJson(JSON.stringify(value), more)).toBe(
          canonicalJson(JSON.stringify(value)) === canonicalJson(more),
        );
        expect(JSON.parse(canonicalJson(more))).toEqual(JSON.parse(more));
      }),
    );
  });
});

describe("jsonObjectProblem", () => {
  test("accepts objects of up to 64 levels", () => {
    const nested = (levels: number) => '{"a":'.repeat(levels - 1).concat("{}", "}".repeat(levels - 1));
    expect(jsonObjectProblem(nested(64))).toBeUndefined();
    expect(jsonObjectProblem(nested(65))).toMatch(/deeper/);
    expect(jsonObjectProblem(nested(20_000))).toMatch(/deeper/);
  });

  test.each(["", " ", "1", '"a"', "[{}]", "null", "{a:1}", "{}{}", '{"a":NaN}', "\ufeff{}"])(
    "rejects %j",
    (text) => {
      expect(jsonObjectProblem(text)).toBe("must be a JSON object");
    },
  );

  test.each([
    ['{"a":1e400}', "holds a number that is too large"],
    ['{"a":[{"b":-1E+309}]}', "holds a number that is too large"],
    ['{"a":1.5e0400}', "holds a number that is too large"],
    [`{"a":${"9".repeat(250)}e99}`, "holds a number that is too large"],
    [`{"a":${"9".repeat(400)}}`, "holds a number that is too large"],
    [String.raw`{"a":"\ud83d"}`, "holds half a surrogate pair"],
    [String.raw`{"a":["\udca9\ud83d"]}`, "holds half a surrogate pair"],
    [String.raw`{"\ud83d":1}`, "holds half a surrogate pair"],
    ['{"a":"\ud83d"}', "must be valid Unicode"],
    ['{"a":1,"a":2}', 'has the key "a" twice'],
    ['{"a":{"b":[{"c":1,"c":1}]}}', 'has the key "a.b[0].c" twice'],
  ])("rejects %s", (text, problem) => {
    expect(jsonObjectProblem(text)).toBe(problem);
  });

  test.each([
    '{"a":1e300,"b":-1.7976931348623157e308,"c":1e-400,"d":0e999,"e":"1e400"}',
    String.raw`{"a":"\ud83d\udca9","\u0061b":1}`,
    '{"a":{"a":{"a":1}},"b":":"}',
  ])("accepts %s", (text) => {
    expect(jsonObjectProblem(text)).toBeUndefined();
  });
});
