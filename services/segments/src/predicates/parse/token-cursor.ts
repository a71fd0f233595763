// Pure. Steps through the tokens of a predicate, bounds its nesting and reports errors with their position.
import { PREDICATE_DEPTH_MAX } from "./limits.ts";
import { PredicateError, positionOf } from "./predicate-error.ts";
import { type Token, tokensOf } from "./tokens.ts";

/** Words that CEL reserves: never names of variables, functions or fields. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    "as break const continue else false for function if import in let loop namespace null package return " +
    "true var void while"
  ).split(" "),
);

export function isReserved(name: string): boolean {
  return RESERVED.has(name);
}

/** Whether the name may follow a dot. */
export function isFieldName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !isReserved(name);
}

export class TokenCursor {
  readonly #source: string;
  readonly #tokens: Token[];
  #next = 0;
  /** Open brackets, ternaries and signs around the next token. */
  #nesting = 0;

  constructor(source: string) {
    this.#source = source;
    this.#tokens = tokensOf(source);
  }

  peek(): Token {
    return this.#tokens[this.#next] ?? { kind: "end", offset: this.#source.length };
  }

  advance(): void {
    this.#next += 1;
  }

  isSign(text: string): boolean {
    const token = this.peek();
    return token.kind === "sign" && token.text === text;
  }

  accept(text: string): boolean {
    if (!this.isSign(text)) return false;
    this.advance();
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) this.unexpected(text);
  }

  fieldName(): { readonly text: string; readonly offset: number } {
    const token = this.peek();
    if (token.kind !== "name") return this.unexpected("a field name");
    if (isReserved(token.text)) {
      this.fail(`${token.text} is a reserved word: write ["${token.text}"] for a field of that name`);
    }
    this.advance();
    return token;
  }

  /** Parses one level deeper. The limit bounds the parser's own stack. */
  nested<Result>(offset: number, parseInner: () => Result): Result {
    this.#nesting += 1;
    this.checkDepth(this.#nesting, offset);
    const result = parseInner();
    this.#nesting -= 1;
    return result;
  }

  checkDepth(depth: number, offset: number): void {
    if (depth > PREDICATE_DEPTH_MAX) this.fail(`nested more than ${PREDICATE_DEPTH_MAX} deep`, offset);
  }

  unexpected(expected: string): never {
    const token = this.peek();
    if (token.kind === "end") return this.fail(`the predicate ends where ${expected} should be`);
    const found = token.kind === "name" || token.kind === "sign" ? token.text : `a ${token.kind}`;
    return this.fail(`found ${found} where ${expected} should be`);
  }

  fail(reason: string, offset = this.peek().offset): never {
    throw new PredicateError(reason, positionOf(this.#source, offset));
  }
}
