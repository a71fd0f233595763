// Converts text to the key by which texts compare without regard to case, the same on every engine. Pure.

/** Composed, in lower case by Unicode's default mapping, with one form of sigma, whatever letters surround it. */
export function textKey(text: string): string {
  return text.normalize("NFC").toLowerCase().replaceAll("ς", "σ").normalize("NFC");
}
