// Creates, recognizes and hashes the text of an API key.
import { createHash, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

/** The random part, and the checksum of everything before it. */
const API_KEY = /^(mk_live_[A-Za-z0-9_-]{43})([0-9A-Za-z]{6})$/;
/** Keys made before keys had a checksum. They stay valid. */
const OLD_API_KEY = /^mk_[A-Za-z0-9_-]{43}$/;
const SECRET_BYTES = 32;
const PREFIX_CHARACTERS = 16;
const OLD_PREFIX_CHARACTERS = 11;
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/** 62^6 is more than 2^32. */
const CHECKSUM_CHARACTERS = 6;

/** A new key of 256 random bits, with a checksum by which secret scanners recognize keys. */
export function newApiKeySecret(random: (size: number) => Buffer = randomBytes): string {
  const text = `mk_live_${random(SECRET_BYTES).toString("base64url")}`;
  return `${text}${checksumOf(text)}`;
}

/** Whether the text has the form of a key and a correct checksum; saves looking other texts up. */
export function isApiKey(text: string): boolean {
  const [, checked, checksum] = API_KEY.exec(text) ?? [];
  return checked === undefined ? OLD_API_KEY.test(text) : checksumOf(checked) === checksum;
}

/** SHA-256: 256 random bits need no slow hash, and only the hash is stored or travels. */
export function hashApiKey(key: string): Buffer {
  return createHash("sha256").update(key, "utf8").digest();
}

/** The first characters, which identify a key in lists. */
export function apiKeyPrefix(key: string): string {
  return key.slice(0, OLD_API_KEY.test(key) ? OLD_PREFIX_CHARACTERS : PREFIX_CHARACTERS);
}

/** The CRC-32 in base 62, padded with zeros. */
function checksumOf(text: string): string {
  let rest = crc32(text);
  let checksum = "";
  while (checksum.length < CHECKSUM_CHARACTERS) {
    checksum = `${DIGITS[rest % DIGITS.length]}${checksum}`;
    rest = Math.floor(rest / DIGITS.length);
  }
  return checksum;
}
