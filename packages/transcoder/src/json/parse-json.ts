// Parses JSON text and keeps long integers and trailing zeros where a field stores its JSON as text.
import { findRepeatedKey, JSON_DEPTH_MAX, JSON_KEYS_MAX, JSON_VALUES_MAX } from "@muster/core";
import { DecodeError } from "./decode-error.ts";
import { exceededLimit, isRawNumber, readKeepingNumbers } from "./json-text.ts";

/** Properties of a body that affect decoding. */
export interface DecodeContext {
  readonly ignoreUnknown: boolean;
  /** The text has escapes that may hide half a surrogate pair. */
  readonly surrogates: boolean;
  /** Some numbers kept their text. */
  readonly exact: boolean;
  depth: number;
}

export interface ParsedJson {
  readonly value: unknown;
  readonly context: DecodeContext;
}

export interface ParseOptions {
  readonly ignoreUnknown: boolean;
  /** A field keeps its JSON as text, so numbers must survive as written. */
  readonly keepNumbers: boolean;
}

/**
 * Below this size a text cannot exceed the limits of values and keys, and JSON.parse is faster than a check
 * of the nesting depth.
 */
const UNSEEN_CHARACTERS_MAX = 4 * JSON_KEYS_MAX;
const LIMITS = { depthMax: JSON_DEPTH_MAX, valuesMax: JSON_VALUES_MAX, keysMax: JSON_KEYS_MAX };

/**
 * Matches the end of a number that its double might not print identically: 16 or more digits, an exponent, a
 * trailing zero after the point, minus zero, or many leading zeros. Text inside strings may match too, which
 * only costs time. Written backwards from the terminator, which makes the match linear.
 */
const UNFAITHFUL_NUMBER = /[,}\]\s](?<=(?:[\d.]{16}|\.\d*0|[eE][+-]?\d+|-0|0\.0{6}\d+).)/;

export function parseJson(text: string, options: ParseOptions): ParsedJson {
  if (text.length > UNSEEN_CHARACTERS_MAX) checkLimits(text);
  const value = parse(text);
  refuseRepeatedKeys(text, value);
  const exact = options.keepNumbers && UNFAITHFUL_NUMBER.test(text);
  if (exact) checkLimits(text);
  return {
    value: exact ? readKeepingNumbers(text) : value,
    context: { ignoreUnknown: options.ignoreUnknown, surrogates: text.includes("\\u"), exact, depth: 0 },
  };
}

/** Without these limits a body of 4 MiB costs seconds and hundreds of MiB before any rule refuses the body. */
function checkLimits(text: string): void {
  switch (exceededLimit(text, LIMITS)) {
    case undefined:
      return;
    case "depthMax":
      throw tooDeep();
    case "valuesMax":
      throw new DecodeError(`The body has more than ${JSON_VALUES_MAX} values.`);
    case "keysMax":
      throw new DecodeError(`An object of the body has more than ${JSON_KEYS_MAX} keys.`);
  }
}

/** Readers disagree about the value of such a key, so every mount refuses the body. */
function refuseRepeatedKeys(text: string, value: unknown): void {
  const path = findRepeatedKey(text, value);
  if (path !== undefined) throw new DecodeError("is given twice").under(path === "" ? '""' : path);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = /position (\d+)/.exec(error instanceof Error ? error.message : "")?.[1];
    throw new DecodeError(`The body is not valid JSON${position ? ` (at character ${position})` : ""}.`);
  }
}

/** For a value without JSON text, such as the object that stands for a missing body. */
export function textContext(): DecodeContext {
  return { ignoreUnknown: false, surrogates: false, exact: false, depth: 0 };
}

export function tooDeep(): DecodeError {
  return new DecodeError(`is nested deeper than ${JSON_DEPTH_MAX} levels`);
}

/** A JSON object, as opposed to null, an array or a number that kept its text. */
export function isJsonObject(value: unknown, context: DecodeContext): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(context.exact && isRawNumber(value))
  );
}

/** The double of a number that kept its text; any other value unchanged. */
export function plainNumber(value: unknown, context: DecodeContext): unknown {
  return context.exact && isRawNumber(value) ? Number(value.rawJSON) : value;
}

/** The text of a JSON object, with numbers as sent. */
export function jsonObjectText(value: unknown, context: DecodeContext): string {
  if (!isJsonObject(value, context)) throw new DecodeError("must be a JSON object");
  checkJson(value, context, context.depth);
  return JSON.stringify(value);
}

/** A checked JSON value whose numbers are doubles. */
export function plainJson(value: unknown, context: DecodeContext): unknown {
  checkJson(value, context, context.depth);
  return context.exact ? JSON.parse(JSON.stringify(value)) : value;
}

export function checkString(value: string, context: DecodeContext): string {
  if (context.surrogates && !value.isWellFormed()) throw new DecodeError("holds half a surrogate pair");
  return value;
}

function checkJson(value: unknown, context: DecodeContext, depth: number): void {
  if (typeof value === "string") {
    checkString(value, context);
  } else if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new DecodeError("holds a number that is too large");
  } else if (typeof value === "object" && value !== null) {
    if (context.exact && isRawNumber(value)) {
      checkJson(Number(value.rawJSON), context, depth);
      return;
    }
    if (depth >= JSON_DEPTH_MAX) throw tooDeep();
    for (const key in value) {
      checkString(key, context);
      checkJson((value as Record<string, unknown>)[key], context, depth + 1);
    }
  }
}
