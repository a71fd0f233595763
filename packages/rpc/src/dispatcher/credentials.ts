// Reads the credential out of an Authorization header.
import { ACCESS_TOKEN_CHARACTERS_MAX } from "@muster/authz";

/** Longer than any key that Muster hands out. */
const KEY_CHARS_MAX = 512;
const VISIBLE_FORM = /^[\x21-\x7e]+$/;
const HEADER_FORM = /^([A-Za-z]+) +([\x21-\x7e]+) *$/;
const BASE64_FORM = /^[A-Za-z0-9+/_-]+={0,2}$/;

/**
 * `Bearer` with an API key or an access token, or `Basic` with an API key as user name. Undefined when it is neither, or
 * garbled.
 */
export function credentialFrom(authorization: string): string | undefined {
  const match = HEADER_FORM.exec(authorization);
  const scheme = match?.[1]?.toLowerCase();
  const value = match?.[2] ?? "";
  if (scheme === "bearer") return value.length <= ACCESS_TOKEN_CHARACTERS_MAX ? value : undefined;
  if (scheme !== "basic") return undefined;
  const key = userName(value);
  return key.length <= KEY_CHARS_MAX && VISIBLE_FORM.test(key) ? key : undefined;
}

function userName(encoded: string): string {
  if (encoded.length > 2 * KEY_CHARS_MAX || !BASE64_FORM.test(encoded)) return "";
  const text = Buffer.from(encoded, "base64").toString("latin1");
  const colon = text.indexOf(":");
  return colon === -1 ? "" : text.slice(0, colon);
}
