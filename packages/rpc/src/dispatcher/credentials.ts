// Reads the API key out of an Authorization header.

/** Longer than any key that Muster hands out. */
const KEY_CHARS_MAX = 512;
const KEY_FORM = /^[\x21-\x7e]+$/;
const SCHEME_FORM = /^([A-Za-z]+) +([^ ]+) *$/;
const BASE64_FORM = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** `Bearer <key>`, or `Basic` with the key as user name. Undefined when it is neither, or garbled. */
export function apiKeyFrom(authorization: string): string | undefined {
  const match = SCHEME_FORM.exec(authorization);
  const scheme = match?.[1]?.toLowerCase();
  const value = match?.[2] ?? "";
  if (scheme === "bearer") return wellFormed(value);
  if (scheme === "basic") return wellFormed(userName(value));
  return undefined;
}

function userName(encoded: string): string {
  if (encoded.length > 2 * KEY_CHARS_MAX || !BASE64_FORM.test(encoded)) return "";
  const text = Buffer.from(encoded, "base64").toString("latin1");
  const colon = text.indexOf(":");
  return colon === -1 ? "" : text.slice(0, colon);
}

function wellFormed(key: string): string | undefined {
  return key.length <= KEY_CHARS_MAX && KEY_FORM.test(key) ? key : undefined;
}
