// Converts email addresses to the one form by which they compare, and checks addresses that mail is sent to.
import { domainToASCII } from "node:url";

const ADDRESS_BYTES_MAX = 254;
const LOCAL_BYTES_MAX = 64;
/** A domain whose ASCII domainToASCII neither decodes nor cuts. */
const SAFE_DOMAIN = /^[a-z0-9._\-\u0080-\u{10ffff}]*$/iu;
const NON_ASCII = /[^\0-\x7f]/;
/** The unquoted form of RFC 5321 and RFC 6531: no blanks, control or format characters, quotes or brackets. */
const LOCAL = /^(?!\.)(?!.*\.\.)(?!.*\.$)[^\s\p{C}\p{Z}"(),:;<>@[\\\]]+$/u;
const DOMAIN = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The canonical form of an address: trimmed, NFC, the domain as IDNA, lower case by Unicode's default mapping. No
 * rules of single providers apply: `a+b@` is not `a@`. Any text has a canonical form, and the form is its own.
 */
export function canonicalEmail(text: string): string {
  const address = lowerCase(text.trim());
  const at = address.lastIndexOf("@");
  if (at < 0) return address;
  const domain = address.slice(at + 1);
  if (!NON_ASCII.test(domain) || !SAFE_DOMAIN.test(domain)) return address;
  const ascii = domainToASCII(domain);
  return ascii === "" ? address : `${address.slice(0, at)}@${ascii}`;
}

/**
 * The spelling to which mail goes: trimmed and NFC, otherwise as written. NFC maps the Kelvin sign to the letter K.
 * Otherwise a mailbox with the sign could verify the address with the letter.
 */
export function emailSpelling(text: string): string {
  return text.trim().normalize("NFC");
}

/** Why mail can't be sent to the address; undefined if it can. */
export function emailProblem(text: string): string | undefined {
  if (Buffer.byteLength(text.trim()) > ADDRESS_BYTES_MAX) return `must be at most ${ADDRESS_BYTES_MAX} bytes`;
  const canonical = canonicalEmail(text);
  const at = canonical.lastIndexOf("@");
  const [local, domain] = [canonical.slice(0, Math.max(at, 0)), canonical.slice(at + 1)];
  const isAddress =
    at > 0 && Buffer.byteLength(local) <= LOCAL_BYTES_MAX && LOCAL.test(local) && DOMAIN.test(domain);
  return isAddress ? undefined : 'must be an email address, such as "ada@example.com"';
}

/** Composed before and after, because lower-casing can leave a letter and its mark apart. */
function lowerCase(text: string): string {
  return text.normalize("NFC").toLowerCase().normalize("NFC");
}
