import { describe, expect, test } from "vitest";
import { credentialFrom } from "./credentials.ts";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

describe("a credential is read from", () => {
  test.each([
    ["Bearer mk_abc", "mk_abc"],
    ["BEARER   mk_abc ", "mk_abc"],
    [`Bearer ${"x".repeat(2048)}`, "x".repeat(2048)],
    [`Basic ${base64("mk_abc:")}`, "mk_abc"],
    [`basic ${base64("mk_abc:a:b")}`, "mk_abc"],
    [`Basic ${Buffer.from("mk_abc:x").toString("base64url")}`, "mk_abc"],
  ])("%s", (header, key) => {
    expect(credentialFrom(header)).toBe(key);
  });
});

describe("nothing is read from", () => {
  test.each([
    "",
    "Bearer",
    "Bearer ",
    "mk_abc",
    "Bearer a b",
    "Bearer, mk_abc",
    "Token mk_abc",
    `Bearer ${"x".repeat(2049)}`,
    `Basic ${base64(`${"x".repeat(513)}:`)}`,
    "Bearer caf\u00e9",
    `Basic ${base64("mk_abc")}`,
    `Basic ${base64(":password")}`,
    `Basic ${base64("mk\u0000abc:")}`,
    "Basic mk_abc:",
    `Basic ${base64(`${"x".repeat(5000)}:`)}`,
  ])("%j", (header) => {
    expect(credentialFrom(header)).toBeUndefined();
  });
});
