import { systemClock } from "@muster/core";
import { hash } from "@node-rs/argon2";
import { describe, expect, test } from "vitest";
import { requireAcceptablePassword } from "./acceptable-password.ts";
import { Passwords } from "./passwords.ts";

const passwords = new Passwords({ clock: systemClock, slots: 2 });

describe("Passwords", () => {
  test("a password has its own hash and no other", async () => {
    const stored = await passwords.hash("correct horse battery");
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    expect(await passwords.hash("correct horse battery")).not.toBe(stored);
    expect(await passwords.verify(stored, "correct horse battery")).toBe(true);
    expect(await passwords.verify(stored, "Correct horse battery")).toBe(false);
    expect(await passwords.verify(undefined, "correct horse battery")).toBe(false);
  });

  test("long passwords with a shared prefix differ, in their last byte and after a zero byte", async () => {
    const prefix = "a".repeat(1_023);
    const stored = await passwords.hash(`${prefix}b`);
    expect(await passwords.verify(stored, `${prefix}b`)).toBe(true);
    expect(await passwords.verify(stored, `${prefix}c`)).toBe(false);
    const withZero = await passwords.hash("twelve bytes\0one");
    expect(await passwords.verify(withZero, "twelve bytes\0two")).toBe(false);
  });

  test("a password counts as sent: no normal form, no trimming", async () => {
    const stored = await passwords.hash("pässwörter überall");
    expect(await passwords.verify(stored, "pässwörter überall".normalize("NFD"))).toBe(false);
    expect(await passwords.verify(stored, "pässwörter überall ")).toBe(false);
  });

  test("a hash with other parameters verifies, and is to be made anew", async () => {
    const weaker = await hash("correct horse battery", { memoryCost: 8_192, timeCost: 1, parallelism: 1 });
    expect(await passwords.verify(weaker, "correct horse battery")).toBe(true);
    expect(passwords.needsRehash(weaker)).toBe(true);
    const other = await hash("correct horse battery", { algorithm: 1 });
    expect(passwords.needsRehash(other)).toBe(true);
    expect(passwords.needsRehash(await passwords.hash("correct horse battery"))).toBe(false);
  });
});

describe("requireAcceptablePassword", () => {
  const rule = (message: string) => ({
    reason: "FIELD_INVALID",
    fields: [{ field: "password", message: expect.stringContaining(message) }],
  });
  const check = (password: string, address?: string) => () =>
    requireAcceptablePassword(password, "password", address);

  test("length counts in bytes of UTF-8", () => {
    expect(check("elevenbytes")).toThrow(expect.objectContaining(rule("at least 12 bytes")));
    expect(check("")).toThrow(expect.objectContaining(rule("at least 12 bytes")));
    expect(check("ééééééé")).not.toThrow();
    expect(check("x".repeat(1_024))).not.toThrow();
    expect(check("x".repeat(1_025))).toThrow(expect.objectContaining(rule("at most 1,024 bytes")));
    expect(check("é".repeat(513))).toThrow(expect.objectContaining(rule("at most 1,024 bytes")));
    expect(check("x".repeat(1_048_576))).toThrow(expect.objectContaining(rule("at most 1,024 bytes")));
  });

  test("common passwords are refused in any case, and no composition is required", () => {
    for (const common of ["password1234", "Password1234", "QWERTYUIOP123", "123456789012", "administrator"]) {
      expect(check(common), common).toThrow(expect.objectContaining(rule("most common passwords")));
    }
    for (const good of ["a quiet lake at noon", "99999 88 77777 6", "ЖжЖжЖжЖж", "🌊🌊🌊"]) {
      expect(check(good), good).not.toThrow();
    }
  });

  test("the address of the account is refused", () => {
    const refused = expect.objectContaining(rule("email address"));
    expect(check("ada.lovelace@example.com", "ada.lovelace@example.com")).toThrow(refused);
    expect(check("Ada.Lovelace@Example.com", " ada.lovelace@EXAMPLE.com ")).toThrow(refused);
    expect(check("bob.lovelace@example.com", "ada.lovelace@example.com")).not.toThrow();
  });
});
