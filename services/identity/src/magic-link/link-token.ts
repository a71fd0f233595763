// Makes and hashes the tokens of magic links. Pure.
import { createHash, randomBytes } from "node:crypto";

const TOKEN_BYTES = 32;
const TOKEN_FORM = /^[A-Za-z0-9_-]{43}$/;

export const LINK_LIFETIME_MS = 10 * 60_000;

export function newLinkToken(): { readonly token: string; readonly tokenHash: Buffer } {
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  return { token, tokenHash: hashOf(token) };
}

/** Undefined for a text that is no token. */
export function hashLinkToken(text: string): Buffer | undefined {
  return TOKEN_FORM.test(text) ? hashOf(text) : undefined;
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
