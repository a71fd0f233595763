// Makes and compares the six-digit codes of mails. Pure.
import { createHmac, randomInt, timingSafeEqual } from "node:crypto";

const CODES = 1_000_000;
const CODE_FORM = /^[0-9]{6}$/;
const SEPARATORS = /[\s\p{Pd}]/gu;

/** One of a million codes, which is why guesses are limited. */
export function newMailCode(): string {
  return String(randomInt(CODES)).padStart(6, "0");
}

/** Keyed, because the hash of a short code is found by trying all codes. */
export function hashMailCode(key: Uint8Array, linkId: string, code: string): Buffer {
  return createHmac("sha256", key)
    .update(JSON.stringify([linkId, code]))
    .digest();
}

export function isMailCode(key: Uint8Array, linkId: string, typed: string, hash: Uint8Array): boolean {
  const code = typed.replace(SEPARATORS, "");
  return CODE_FORM.test(code) && timingSafeEqual(hashMailCode(key, linkId, code), hash);
}
