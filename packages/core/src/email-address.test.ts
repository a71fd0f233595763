import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalEmail, emailProblem, emailSpelling } from "./email-address.ts";

test.each([
  ["  Ada@Example.COM\t", "ada@example.com"],
  // The Kelvin sign, alone and in a domain.
  ["\u212Aelvin@example.com", "kelvin@example.com"],
  ["a@\u212Aelvin.example", "a@kelvin.example"],
  // Composed and decomposed.
  ["Jose\u0301@example.com", "jos\u00e9@example.com"],
  ["JOS\u00c9@example.com", "jos\u00e9@example.com"],
  ["a@BU\u0308CHER.example", "a@xn--bcher-kva.example"],
  ["a@xn--bcher-kva.example", "a@xn--bcher-kva.example"],
  // An ideographic full stop.
  ["a@b\u00fccher\u3002example", "a@xn--bcher-kva.example"],
  ["a@fa\u00df.example", "a@xn--fa-hia.example"],
  // No domain of IDNA stays as written.
  ["a@b c\u00fc.example", "a@b c\u00fc.example"],
  ["no address", "no address"],
  ["a@b@Example.com", "a@b@example.com"],
])("%j is %j", (text, canonical) => {
  expect(canonicalEmail(text)).toBe(canonical);
});

test.each([
  // The dotted I, the sharp s, plus forms and dots are letters of their own.
  ["\u0130@example.com", "i@example.com"],
  ["stra\u00dfe@example.com", "strasse@example.com"],
  ["a+b@example.com", "a@example.com"],
  ["a.b@example.com", "ab@example.com"],
  ["\u0131@example.com", "i@example.com"],
  ["a@fa\u00df.example", "a@fass.example"],
  // The URL parser cuts, decodes or reads these as numbers.
  ["a@evil\u00fc.example/good.example", "a@evil\u00fc.example"],
  ["a@\u00fc%2eexample", "a@\u00fc.example"],
  ["a@1.2", "a@1.0.0.2"],
])("%j differs from %j", (one, other) => {
  expect(canonicalEmail(one)).not.toBe(canonicalEmail(other));
});

test("the canonical form is its own, and is the same for every way to compose the text", async () => {
  const text = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.tuple(fc.string({ unit: "grapheme" }), fc.string({ unit: "binary" })).map((parts) => parts.join("@")),
  );
  await checkProperty(
    fc.property(text, (any) => {
      const canonical = canonicalEmail(any);
      expect(canonicalEmail(canonical)).toBe(canonical);
      expect(canonicalEmail(` ${any} `)).toBe(canonical);
      expect(canonicalEmail(any.normalize("NFD"))).toBe(canonical);
    }),
  );
});

test("the spelling keeps the case, and no other letter becomes an ASCII letter in the canonical form", () => {
  expect(emailSpelling(" Ada.L@Example.COM ")).toBe("Ada.L@Example.COM");
  expect(emailSpelling("\u212Aelvin@example.com")).toBe("Kelvin@example.com");
  for (let code = 0x80; code <= 0x10ffff; code += 1) {
    const spelling = emailSpelling(String.fromCodePoint(code));
    if (!/^[\0-\x7f]*$/.test(canonicalEmail(spelling))) continue;
    expect(spelling, code.toString(16)).toMatch(/^[\0-\x7f]*$/);
  }
});

test.each([
  "a@b.example",
  "a+b@b.example",
  "o'hara@b.example",
  "jos\u00e9@b\u00fccher.example",
  `${"a".repeat(64)}@b.example`,
  "\u0130@b.example",
])("mail can go to %j", (text) => {
  expect(emailProblem(text)).toBeUndefined();
});

test.each([
  "",
  "a",
  "@b.example",
  "a@",
  "a@b",
  "a b@c.example",
  "a@b@c.example",
  "a\r\nBcc: x@y.example",
  "a\u0000@b.example",
  "a\u200b@b.example",
  "<a@b.example>",
  '"a"@b.example',
  "a@[127.0.0.1]",
  "a@127.0.0.1",
  "a@1.2",
  "a@-b.example",
  "a@b..example",
  ".a@b.example",
  "a.@b.example",
  "a..b@b.example",
  "a@b.example/c",
  "a@\u00fc.example/c",
  "a,b@c.example",
  `${"a".repeat(65)}@b.example`,
  `a@${"b".repeat(64)}.example`,
  `a@${"b.".repeat(130)}example`,
])("mail can't go to %j", (text) => {
  expect(emailProblem(text)).toBeDefined();
});
