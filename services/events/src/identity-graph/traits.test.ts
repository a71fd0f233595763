import { expect, test } from "vitest";
import { changeTraits, fillTraits, removesTraits, TRAITS_BYTES_MAX, withTrait } from "./traits.ts";

test("the first object takes precedence; missing traits come from the next object, with their spelling", () => {
  expect(fillTraits([])).toBe("{}");
  expect(fillTraits(["{}", '{ "a" : 1.0 }', "{}"])).toBe('{ "a" : 1.0 }');
  expect(
    fillTraits(['{"a":null,"é":1}', '{"a":1,"b":12345678901234567890.10}', '{"b":2,"c":[{"d":1e2}]}']),
  ).toBe('{"a":null,"é":1,"b":12345678901234567890.10,"c":[{"d":1e2}]}');
});

test("names of object members such as __proto__ are ordinary names", () => {
  expect(fillTraits(['{"a":1}', '{"__proto__":{"b":1},"constructor":2}'])).toBe(
    '{"a":1,"__proto__":{"b":1},"constructor":2}',
  );
});

test("a trait that does not fit is omitted, and later traits still fit", () => {
  const large = "x".repeat(TRAITS_BYTES_MAX - 20);
  const filled = fillTraits([`{"a":"${large}"}`, `{"b":"${large}"}`, '{"c":1}']);
  expect(Object.keys(JSON.parse(filled))).toEqual(["a", "c"]);
  expect(Buffer.byteLength(filled)).toBeLessThanOrEqual(TRAITS_BYTES_MAX);
});

test("changes replace, add, and with null remove", () => {
  expect(changeTraits('{"a":1,"b":{"c":1}}', '{"b":{"d":2},"a":null,"e":1.50}')).toBe(
    '{"b":{"d":2},"e":1.50}',
  );
  expect(changeTraits('{"a":1.0}', "{}")).toBe('{"a":1.0}');
  expect(removesTraits('{"a":1}', '{"a":null}')).toBe(true);
  expect(removesTraits('{"a":1}', '{"a":2,"b":null}')).toBe(false);
  expect(withTrait('{"a":1}', "b", "null")).toBe('{"a":1,"b":null}');
});
