// Pure. Splits the text of a predicate into CEL tokens.
import { PredicateError, positionOf } from "./predicate-error.ts";
import { readString } from "./string-literal.ts";

export type Token =
  | { readonly kind: "name"; readonly text: string; readonly offset: number }
  | { readonly kind: "sign"; readonly text: string; readonly offset: number }
  | { readonly kind: "string"; readonly value: string; readonly offset: number }
  | { readonly kind: "number"; readonly value: number; readonly offset: number }
  | { readonly kind: "end"; readonly offset: number };

const BLANK = /(?:[\t\n\f\r ]+|\/\/[^\r\n]*)+/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const STRING_START = /([rR]?)("""|'''|"|')/y;
const BYTES_START = /(?:[bB][rR]?|[rR][bB])["']/y;
const NUMBER = /0[xX][0-9A-Fa-f]+|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?/y;
const NUMBER_END = /[A-Za-z0-9_]+/y;
const SIGN = /&&|\|\||[=!<>]=|[-+*/%<>!?:.,()[\]{}]/y;

export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let offset = 0;
  const fail = (reason: string, at = offset): never => {
    throw new PredicateError(reason, positionOf(source, at));
  };
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = offset;
    return pattern.exec(source);
  };
  while (true) {
    offset += take(BLANK)?.[0].length ?? 0;
    if (offset >= source.length) break;
    if (take(BYTES_START)) fail("bytes are not supported: JSON has none");
    const start = take(STRING_START);
    if (start) {
      const { value, end } = readString(source, offset, start[2] ?? "", start[1] !== "");
      tokens.push({ kind: "string", value, offset });
      offset = end;
      continue;
    }
    const number = take(NUMBER);
    if (number) {
      tokens.push({ kind: "number", value: numberOf(number[0], fail), offset });
      offset += number[0].length;
      const suffix = take(NUMBER_END)?.[0];
      if (suffix === "u" || suffix === "U") fail("unsigned numbers are not supported: drop the u");
      if (suffix !== undefined) fail(`a number can't be followed by ${JSON.stringify(suffix)}`);
      continue;
    }
    const name = take(NAME);
    const sign = name ?? take(SIGN) ?? fail(unexpectedCharacter(source, offset));
    tokens.push({ kind: name ? "name" : "sign", text: sign[0], offset });
    offset += sign[0].length;
  }
  tokens.push({ kind: "end", offset: source.length });
  return tokens;
}

function numberOf(text: string, fail: (reason: string) => never): number {
  const value = Number(text);
  if (!Number.isFinite(value)) return fail("the number is too large");
  // JSON numbers are doubles: a longer whole number would silently be rounded.
  if (!/[.eE]/.test(text.replace(/^0[xX].*/, "0")) && !Number.isSafeInteger(value)) {
    return fail("whole numbers above 9007199254740991 are not exact in JSON: compare them as strings");
  }
  return value;
}

function unexpectedCharacter(source: string, offset: number): string {
  const character = String.fromCodePoint(source.codePointAt(offset) ?? 0);
  if (character === "=") return "unexpected =; equality is ==";
  if (character === "&" || character === "|") return `unexpected ${character}; write it twice`;
  if (/[\p{L}\p{N}\p{P}\p{S}]/u.test(character)) return `unexpected character ${character}`;
  const code = (source.codePointAt(offset) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return `unexpected character U+${code}`;
}
