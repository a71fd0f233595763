import { expect, test } from "vitest";
import { withMembers } from "./object-members.ts";

test.each<[string, Record<string, string>, string]>([
  ["{}", {}, "{}"],
  ["{}", { name: "" }, "{}"],
  ["{}", { name: "a", category: "" }, '{"name":"a"}'],
  ['{ "a": 1 }', {}, '{ "a": 1 }'],
  [
    '{"a":1.10,"b":[12345678901234567890,-0,1E+2]}',
    { name: "é" },
    '{"a":1.10,"b":[12345678901234567890,-0,1E+2],"name":"é"}',
  ],
  ['{"name":7,"a":{"name":1}}', { name: "n" }, '{"name":"n","a":{"name":1}}'],
  ['{"__proto__":1}', { name: "n" }, '{"__proto__":1,"name":"n"}'],
])("%s with %j is %s", (text, members, expected) => {
  expect(withMembers(text, members)).toBe(expected);
});
