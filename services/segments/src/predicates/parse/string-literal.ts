// Pure. Parses CEL's string literals: single, double and triple quotes, raw strings and escapes.
import { PredicateError, positionOf } from "./predicate-error.ts";

const ESCAPE =
  /\\(?:([abfnrtv\\?"'`])|[xX]([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-3][0-7]{2}))/y;
const SIMPLE_ESCAPES: ReadonlyMap<string, string> = new Map([
  ["a", "\x07"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
]);

/** Parses the literal that starts at `offset`; a raw literal starts at its `r`. */
export function readString(
  source: string,
  offset: number,
  quote: string,
  raw: boolean,
): { value: string; end: number } {
  let value = "";
  let at = offset + (raw ? 1 : 0) + quote.length;
  while (!source.startsWith(quote, at)) {
    const character = source[at];
    if (character === undefined || (quote.length === 1 && (character === "\n" || character === "\r"))) {
      throw new PredicateError(`the string has no closing ${quote}`, positionOf(source, offset));
    }
    if (character === "\\" && !raw) {
      ESCAPE.lastIndex = at;
      const match = ESCAPE.exec(source);
      value += unescaped(source, at, match);
      at += match?.[0].length ?? 0;
      continue;
    }
    value += character;
    at += 1;
  }
  return { value, end: at + quote.length };
}

function unescaped(source: string, at: number, match: RegExpExecArray | null): string {
  if (match === null) {
    throw new PredicateError("unknown escape; a backslash itself is \\\\", positionOf(source, at));
  }
  const [, simple, hex2, hex4, hex8, octal] = match;
  if (simple !== undefined) return SIMPLE_ESCAPES.get(simple) ?? simple;
  const code =
    octal === undefined ? Number.parseInt(hex2 ?? hex4 ?? hex8 ?? "", 16) : Number.parseInt(octal, 8);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    throw new PredicateError("the escape is not a Unicode character", positionOf(source, at));
  }
  return String.fromCodePoint(code);
}
