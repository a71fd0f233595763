// Creates, recognizes and hashes the text of an API key.
import { createHash, randomBytes } from "node:crypto";

const API_KEY = /^mk_[A-Za-z0-9_-]{43}$/;
const SECRET_BYTES = 32;
const PREFIX_CHARACTERS = 11;

/** A new key of 256 random bits. */
export function newApiKeySecret(random: (size: number) => Buffer = randomBytes): string {
  return `mk_${random(SECRET_BYTES).toString("base64url")}`;
}

/** Whether the text has the form of a key; saves looking other texts up. */
export function isApiKey(text: string): boolean {
  return API_KEY.test(text);
}

/** SHA-256: 256 random bits need no slow hash, and only the hash is stored or travels. */
export function hashApiKey(key: string): Buffer {
  return createHash("sha256").update(key, "utf8").digest();
}

/** The first characters, which identify a key in lists. */
export function apiKeyPrefix(key: string): string {
  return key.slice(0, PREFIX_CHARACTERS);
}
