// Makes the tokens of mail links, and the hashes by which tokens are stored.
import { createHash, randomBytes } from "node:crypto";

const TOKEN_BYTES = 32;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

export interface MailToken {
  /** Leaves in a mail; stored nowhere. */
  readonly text: string;
  readonly hash: Buffer;
}

export function newMailToken(): MailToken {
  const text = randomBytes(TOKEN_BYTES).toString("base64url");
  return { text, hash: hashOfToken(text) };
}

/** Undefined for a text that is no token. */
export function mailTokenHash(text: string): Buffer | undefined {
  return TOKEN.test(text) ? hashOfToken(text) : undefined;
}

function hashOfToken(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
