import { expect, test } from "vitest";
import { changeTraits, fillTraits, removesTraits, TRAITS_BYTES_MAX, withTrait } from "./traits.ts";

test("the first has its say; what it lacks comes from the next, spelled as it was", () => {
  expect(fillTraits([])).toBe("{}");
  expect(fillTraits(["{}", '{ "a" : 1.0 }', "{}"])).toBe('{ "a" : 1.0 }');
  expect(
    fillTraits(['{"a":null,"é":1}', '{"a":1,"b":12345678901234567890.10}', '{"b":2,"c":[{"d":1e2}]}']),
  ).toBe('{"a":null,"é":1,"b":12345678901234567890.10,"c":[{"d":1e2}]}');
});

test("names of an object's own making are names like any other", () => {
  expect(fillTraits(['{"a":1}', '{"__proto__":{"b":1},"constructor":2}'])).toBe(
    '{"a":1,"__proto__":{"b":1},"constructor":2}',
  );
});

test("what would not fit is left out, and what comes after it still in", () => {
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
