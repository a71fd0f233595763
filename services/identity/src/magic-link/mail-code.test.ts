import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { hashMailCode, isMailCode, newMailCode } from "./mail-code.ts";

const key = randomBytes(32);

test("a mail code has six digits, and is compared with the hash of its own mail", () => {
  for (let round = 0; round < 200; round += 1) {
    const code = newMailCode();
    expect(code).toMatch(/^[0-9]{6}$/);
    const hash = hashMailCode(key, "mail-1", code);
    expect(isMailCode(key, "mail-1", code, hash)).toBe(true);
    expect(isMailCode(key, "mail-2", code, hash)).toBe(false);
    expect(isMailCode(randomBytes(32), "mail-1", code, hash)).toBe(false);
  }
});

test.each(["123 456", " 123-456\n", "12 34 56"])("%j is typed for 123456", (typed) => {
  expect(isMailCode(key, "mail-1", typed, hashMailCode(key, "mail-1", "123456"))).toBe(true);
});

test.each(["", "12345", "1234567", "１２３４５６", "123456x"])("%j is never a code", (typed) => {
  expect(isMailCode(key, "mail-1", typed, hashMailCode(key, "mail-1", typed))).toBe(false);
});
