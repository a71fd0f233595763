// Splits the text of a filter into tokens with their positions. Pure.
import { codePointsBefore, queryError } from "../query-error.ts";

export type TokenKind = "word" | "quoted" | "operator" | "and" | "or" | "open" | "close";

export interface Token {
  readonly kind: TokenKind;
  /** As written, with its quotes. */
  readonly text: string;
  /** In code points from 0. */
  readonly position: number;
}

const BLANKS = /[ \t\r\n]+/y;
const OPERATOR = /==|!=|>=|<=|>|<|=(?:gt|ge|lt|le|in|out)=/y;
const QUOTED = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/sy;
/** The characters that RSQL reserves end a word. */
const WORD = /[^"'();,=!~<> \t\r\n]+/y;
const SIGNS: Readonly<Record<string, TokenKind>> = { "(": "open", ")": "close", ";": "and", ",": "or" };
const BARE_WORDS: Readonly<Record<string, TokenKind>> = { and: "and", or: "or" };

/** FIELD_INVALID with the position of a character that starts no token. */
export function tokensOf(filter: string): Token[] {
  const tokens: Token[] = [];
  for (let index = skip(filter, 0); index < filter.length; index = skip(filter, index)) {
    const position = codePointsBefore(filter, index);
    const [kind, text] = tokenAt(filter, index, position);
    tokens.push({
      kind: isOperatorWord(kind, text, tokens) ? (BARE_WORDS[text] ?? kind) : kind,
      text,
      position,
    });
    index += text.length;
  }
  return tokens;
}

function tokenAt(filter: string, index: number, position: number): readonly [TokenKind, string] {
  const character = filter.charAt(index);
  const sign = SIGNS[character];
  if (sign !== undefined) return [sign, character];
  if (character === '"' || character === "'") {
    const quoted = matchAt(QUOTED, filter, index);
    if (quoted === undefined) throw queryError("filter", "has a quote that is not closed", position);
    return ["quoted", quoted];
  }
  const operator = matchAt(OPERATOR, filter, index);
  if (operator !== undefined) return ["operator", operator];
  const word = matchAt(WORD, filter, index);
  if (word === undefined) throw queryError("filter", "has an unknown operator", position);
  return ["word", word];
}

/** The words `and` and `or` are operators where an operator may stand: after a value or a parenthesis. */
function isOperatorWord(kind: TokenKind, text: string, before: readonly Token[]): boolean {
  if (kind !== "word" || !Object.hasOwn(BARE_WORDS, text)) return false;
  const [beforeLast, last] = [before.at(-2), before.at(-1)];
  if (last === undefined) return false;
  return (
    last.kind === "close" ||
    ((last.kind === "word" || last.kind === "quoted") && beforeLast?.kind === "operator")
  );
}

function skip(filter: string, index: number): number {
  return index + (matchAt(BLANKS, filter, index)?.length ?? 0);
}

function matchAt(pattern: RegExp, text: string, index: number): string | undefined {
  pattern.lastIndex = index;
  return pattern.exec(text)?.[0];
}
