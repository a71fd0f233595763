// Tests the search for repeated keys.
import { expect, test } from "vitest";
import { findRepeatedKey } from "./json-keys.ts";

const find = (text: string) => findRepeatedKey(text, JSON.parse(text));

test.each([
  ['{"a":1,"a":2}', "a"],
  ['{"a":1,"b":2,"a":1}', "a"],
  [String.raw`{"a":1,"\u0061":2}`, "a"],
  ['{"__proto__":1,"__proto__":2}', "__proto__"],
  ['{"":1,"":2}', ""],
  ['{"x":{"a":1},"y":{"b":[{"c":0},{"d":{"e":0,"e":0}}]}}', "y.b[1].d.e"],
  ['[[1,2],[{"a":"}"},{"a\\"":"\\\\","a\\"":":"}]]', '[1][1].a"'],
  ['{ "a" : 1 , "b" : [ ] , "b" : { } }', "b"],
])("%s has a repeated key", (text, path) => {
  expect(find(text)).toBe(path);
});

test.each([
  "{}",
  "[]",
  "7",
  '"a:b"',
  '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}',
  '{"a":":","b":"\\":","c:":1}',
  '{"__proto__":{"a":1},"constructor":1}',
  '{"a":1,"A":1,"á":1}',
])("%s has no repeated key", (text) => {
  expect(find(text)).toBeUndefined();
});

test("a long path is cut", () => {
  const key = "k".repeat(100_000);
  expect(find(`{"${key}":1,"${key}":1}`)).toBe(`${"k".repeat(119)}…`);
  expect(find(String.raw`{"\ud83d":1,"\ud83d":1}`)).toBe("\ufffd");
});

test("deep nesting is read without recursion", () => {
  const depth = 100_000;
  expect(find(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`)).toBeUndefined();
});
