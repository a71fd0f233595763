import type { UserId } from "@muster/core";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hashBackupCode, newBackupCodes, readCodeEntry } from "./code-entry.ts";

const ADA = "0190a5b4-0000-7000-8000-00000000000a" as UserId;
const BOB = "0190a5b4-0000-7000-8000-00000000000b" as UserId;

describe("a typed code is read as", () => {
  test.each([
    ["123456", "totp", "123456"],
    [" 123 456 ", "totp", "123456"],
    ["123-456", "totp", "123456"],
    ["abcde-fghjk", "backup_code", "abcdefghjk"],
    ["ABCDE FGHJK", "backup_code", "abcdefghjk"],
    ["a b c d e\u2013f\u00a0ghjk\n", "backup_code", "abcdefghjk"],
    ["oiL00-12345", "backup_code", "0110012345"],
  ])("%j: %s %s", (typed, kind, code) => {
    expect(readCodeEntry(typed)).toEqual({ kind, code });
  });

  test.each([
    "",
    "12345",
    "1234567",
    "abcde-fghj",
    "abcde-fghjkm",
    "abcde-fghju",
    "１２３４５６",
    "abcde_fghjk",
  ])("nothing: %j", (typed) => {
    expect(readCodeEntry(typed)).toBeUndefined();
  });
});

test("ten backup codes differ, and each is read back in any case, with blanks and dashes anywhere", async () => {
  const codes = newBackupCodes();
  expect(new Set(codes).size).toBe(10);
  const change = fc.tuple(fc.boolean(), fc.constantFrom("", " ", "-", "  - "));
  await checkProperty(
    fc.property(
      fc.constantFrom(...codes),
      fc.array(change, { minLength: 11, maxLength: 11 }),
      (code, changes) => {
        const typed = changes
          .map(([isUpper, separator], index) => {
            const character = code[index] ?? "";
            return (isUpper ? character.toUpperCase() : character) + separator;
          })
          .join("");
        expect(readCodeEntry(typed)).toEqual({ kind: "backup_code", code: code.replace("-", "") });
      },
    ),
  );
});

test("the hash of a backup code depends on the key and on the user", () => {
  const [key, otherKey] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const hashes = [
    hashBackupCode(key, ADA, "abcdefghjk"),
    hashBackupCode(otherKey, ADA, "abcdefghjk"),
    hashBackupCode(key, BOB, "abcdefghjk"),
    hashBackupCode(key, ADA, "abcdefghjm"),
  ];
  expect(new Set(hashes.map((hash) => hash.toString("hex"))).size).toBe(4);
});
