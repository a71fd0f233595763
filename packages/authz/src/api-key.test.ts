// Tests the text of API keys: form, checksum, prefix and hash.
import { expect, test } from "vitest";
import { apiKeyPrefix, hashApiKey, isApiKey, newApiKeySecret } from "./api-key.ts";

test("a key is random, recognizable, and kept as its hash", () => {
  const secret = newApiKeySecret();
  expect(secret).toMatch(/^mk_live_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}$/);
  expect(isApiKey(secret)).toBe(true);
  expect(newApiKeySecret()).not.toBe(secret);
  expect(apiKeyPrefix(secret)).toBe(secret.slice(0, 16));
  // SHA-256 of the text, checked against another implementation's value.
  expect(hashApiKey("abc").toString("hex")).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});

test("the checksum is the CRC-32 of the text before it, in base 62", () => {
  const zeros = newApiKeySecret((size) => Buffer.alloc(size));
  // Computed with Python's zlib.crc32.
  expect(zeros).toBe(`mk_live_${"A".repeat(43)}05g0Z9`);
});

test("a key with one wrong character has no form of a key", () => {
  const secret = newApiKeySecret();
  for (let index = 0; index < secret.length; index += 1) {
    const wrong = secret[index] === "x" ? "y" : "x";
    expect(isApiKey(secret.slice(0, index) + wrong + secret.slice(index + 1)), String(index)).toBe(false);
  }
});

test("a key without checksum, as it was made before, is a key", () => {
  const old = `mk_${"A".repeat(43)}`;
  expect(isApiKey(old)).toBe(true);
  expect(apiKeyPrefix(old)).toBe(old.slice(0, 11));
  expect(isApiKey(`mk_live_${"A".repeat(43)}`)).toBe(false);
});
