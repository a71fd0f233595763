import { expect, test } from "vitest";
import { apiKeyPrefix, hashApiKey, isApiKey, newApiKeySecret } from "./api-key.ts";

test("a key is random, recognizable, and kept as its hash", () => {
  const secret = newApiKeySecret();
  expect(isApiKey(secret)).toBe(true);
  expect(newApiKeySecret()).not.toBe(secret);
  expect(apiKeyPrefix(secret)).toBe(secret.slice(0, 11));
  // SHA-256 of the text, checked against another implementation's value.
  const zeros = newApiKeySecret((size) => Buffer.alloc(size));
  expect(zeros).toBe(`mk_${"A".repeat(43)}`);
  expect(hashApiKey("abc").toString("hex")).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});
