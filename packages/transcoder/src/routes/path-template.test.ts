import { expect, test } from "vitest";
import { parsePathTemplate } from "./path-template.ts";

const literal = (text: string) => ({ kind: "literal", text });
const one = { kind: "one" };
const many = { kind: "many" };

test.each([
  ["/v1/users", [literal("v1"), literal("users")], [], ""],
  ["/v1/*/x", [literal("v1"), one, literal("x")], [], ""],
  ["/v1/{id}", [literal("v1"), one], [["id", 1, 2, true]], ""],
  [
    "/v1/{a.b=*}/{c}",
    [literal("v1"), one, one],
    [
      ["a.b", 1, 2, true],
      ["c", 2, 3, true],
    ],
    "",
  ],
  [
    "/v1/{name=users/*}:activate",
    [literal("v1"), literal("users"), one],
    [["name", 1, 3, false]],
    "activate",
  ],
  ["/v1/{name=**}", [literal("v1"), many], [["name", 1, 2, false]], ""],
  ["/v1/{name=a/**}:x", [literal("v1"), literal("a"), many], [["name", 1, 3, false]], "x"],
  ["/v1/{id=users}", [literal("v1"), literal("users")], [["id", 1, 2, true]], ""],
  ["/v1/events:batch", [literal("v1"), literal("events")], [], "batch"],
  ["/v1/a%20b", [literal("v1"), literal("a b")], [], ""],
  ["/**", [many], [], ""],
])("%s", (text, segments, variables, verb) => {
  const template = parsePathTemplate(text);
  expect(template.segments).toEqual(segments);
  expect(template.variables.map((v) => [v.fieldPath.join("."), v.start, v.end, v.single])).toEqual(variables);
  expect(template.verb).toBe(verb);
});

test.each([
  "v1/x",
  "",
  "/",
  "/v1/",
  "/v1//x",
  "/v1/**/x",
  "/v1/{a=**}/x",
  "/v1/{a",
  "/v1/a}",
  "/v1/x{a}",
  "/v1/{a{b}}",
  "/v1/{}",
  "/v1/{1a}",
  "/v1/{a..b}",
  "/v1/{a=}",
  "/v1/{a}/{a}",
  "/v1/x:",
  "/v1/x y",
  "/v1/%zz",
  "/v1/***",
])("%s is refused", (text) => {
  expect(() => parsePathTemplate(text)).toThrow(JSON.stringify(text));
});
