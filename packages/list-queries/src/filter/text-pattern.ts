// Reads the values of a filter as patterns with wildcards. Pure.
import type { Token } from "./tokens.ts";

/** The texts between the wildcards. A single piece is a text without wildcard. */
export type TextPattern = readonly [string, ...string[]];

/**
 * `*` is a wildcard, in quotes too, and `\*` the sign. In quotes a backslash escapes any character; in a bare word
 * only the star and the backslash, so that other backslashes stand for themselves.
 */
export function patternOf({ kind, text }: Token): TextPattern {
  const body = kind === "quoted" ? text.slice(1, -1) : text;
  const special = kind === "quoted" ? /\\(.)|(\*)/gs : /\\([*\\])|(\*)/g;
  const pieces: [string, ...string[]] = [""];
  let start = 0;
  const append = (piece: string): void => {
    pieces[pieces.length - 1] += piece;
  };
  for (const match of body.matchAll(special)) {
    append(body.slice(start, match.index));
    if (match[2] === undefined) append(match[1] ?? "");
    else pieces.push("");
    start = match.index + match[0].length;
  }
  append(body.slice(start));
  return pieces;
}
