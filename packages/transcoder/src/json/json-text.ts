// Reads JSON as text where JSON.parse would be slow or lose information: nesting depth, and the spelling of
// numbers.

import { endOfString } from "@muster/core";

const QUOTE = 34;
const MINUS = 45;
const COLON = 58;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/** A number with its source text, which JSON.stringify writes unchanged. */
export interface RawNumber {
  readonly rawJSON: string;
}

// Part of ECMAScript since 2025; missing in TypeScript's library.
const json = JSON as unknown as {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
};

export function isRawNumber(value: unknown): value is RawNumber {
  return json.isRawJSON(value);
}

/** Limits of a JSON text, which is checked before any value is built. */
export interface JsonLimits {
  readonly depthMax: number;
  /** Objects, arrays, strings, numbers and words; an empty array counts twice. */
  readonly valuesMax: number;
  /** Keys of one object. */
  readonly keysMax: number;
}

/** The limit that the text exceeds first, or undefined. Accepts any text, including text that is not JSON. */
export function exceededLimit(text: string, limits: JsonLimits): keyof JsonLimits | undefined {
  const { depthMax, valuesMax, keysMax } = limits;
  // The keys of each enclosing object; ARRAY for an array.
  const open: number[] = [];
  let values = 1;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) {
      index = endOfString(text, index);
      if (index === text.length) return undefined;
    } else if (code === COMMA) {
      if (open.at(-1) === ARRAY && ++values > valuesMax) return "valuesMax";
    } else if (code === COLON) {
      if (++values > valuesMax) return "valuesMax";
      const keys = (open.at(-1) ?? 0) + 1;
      if (keys > keysMax) return "keysMax";
      open[open.length - 1] = keys;
    } else if (code === OPEN_BRACKET || code === OPEN_BRACE) {
      if (open.length >= depthMax) return "depthMax";
      if (code === OPEN_BRACKET && ++values > valuesMax) return "valuesMax";
      open.push(code === OPEN_BRACE ? 0 : ARRAY);
    } else if (code === CLOSE_BRACKET || code === CLOSE_BRACE) {
      open.pop();
    }
  }
  return undefined;
}

const ARRAY = -1;

/**
 * Reads text that is valid JSON, nested no deeper than the stack; numbers keep their text where a double
 * would lose digits.
 */
export function readKeepingNumbers(text: string): unknown {
  return new KeepingReader(text).read();
}

/** JSON.parse with a reviver has the same result, but takes seconds for a long array. */
class KeepingReader {
  readonly #text: string;
  #index = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): unknown {
    switch (this.#next()) {
      case OPEN_BRACE:
        return this.#object();
      case OPEN_BRACKET:
        return this.#array();
      case QUOTE:
        return this.#string();
      default:
        return this.#word();
    }
  }

  #object(): unknown {
    const object: Record<string, unknown> = {};
    this.#index++;
    while (this.#next() !== CLOSE_BRACE) {
      const key = this.#string();
      this.#next();
      this.#index++;
      const value = this.read();
      if (key === "__proto__") {
        Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      } else {
        object[key] = value;
      }
    }
    this.#index++;
    return object;
  }

  #array(): unknown {
    const array: unknown[] = [];
    this.#index++;
    while (this.#next() !== CLOSE_BRACKET) array.push(this.read());
    this.#index++;
    return array;
  }

  #string(): string {
    const start = this.#index;
    const end = endOfString(this.#text, start);
    this.#index = end + 1;
    const inside = this.#text.slice(start + 1, end);
    return inside.includes("\\") ? JSON.parse(`"${inside}"`) : inside;
  }

  /** A number, true, false or null. */
  #word(): unknown {
    WORD.lastIndex = this.#index;
    const word = WORD.exec(this.#text)?.[0] ?? "";
    this.#index += word.length;
    const first = word.charCodeAt(0);
    if (first !== MINUS && !(first <= DIGIT_9)) return word === "null" ? null : word === "true";
    const value = Number(word);
    return String(value) === word ? value : json.rawJSON(word);
  }

  /** The next character that is neither white space nor a comma. */
  #next(): number {
    let code = this.#text.charCodeAt(this.#index);
    while (code <= SPACE || code === COMMA) code = this.#text.charCodeAt(++this.#index);
    return code;
  }
}

const SPACE = 32;
const COMMA = 44;
const DIGIT_9 = 57;
const WORD = /[-+.0-9A-Za-z]+/y;
