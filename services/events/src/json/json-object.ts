// Validates and compares JSON objects that callers send as text. Pure.
import { findRepeatedKey, JSON_DEPTH_MAX } from "@muster/core";

/**
 * Returns the problem of `text` as a JSON object, or undefined for a valid object. Every mount applies this rule:
 * REST shows the text as sent, so each reader must be able to read it, and to the same value.
 */
export function jsonObjectProblem(text: string): string | undefined {
  if (text === "{}") return undefined;
  // A lone surrogate has no UTF-8 form, so it would be stored as a replacement character.
  if (!text.isWellFormed()) return "must be valid Unicode";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "must be a JSON object";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "must be a JSON object";
  const hasEscapes = text.includes("\\u");
  if (hasEscapes || mayBeDeeperThan(text, JSON_DEPTH_MAX) || MAY_BE_TOO_LARGE.test(text)) {
    const problem = problemWithin(value, JSON_DEPTH_MAX);
    if (problem !== undefined) return problem;
  }
  const repeated = findRepeatedKey(text, value);
  return repeated === undefined ? undefined : `has the key ${JSON.stringify(repeated)} twice`;
}

/** An exponent of three digits, or many digits. Matches some texts without such a number, and every text with one. */
const MAY_BE_TOO_LARGE = /\d[eE]\+?\d{3}|\d{200}/;

/** Whether more than `levels` brackets open. The check is cheap and accepts most events. */
function mayBeDeeperThan(text: string, levels: number): boolean {
  let opened = 0;
  for (const bracket of "{[") {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) opened += 1;
  }
  return opened > levels;
}

/** The problem of a value inside an object of `levels` more levels. */
function problemWithin(value: unknown, levels: number): string | undefined {
  if (typeof value === "string") return value.isWellFormed() ? undefined : "holds half a surrogate pair";
  if (typeof value === "number") {
    return Number.isFinite(value) ? undefined : "holds a number that is too large";
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (levels === 0) return `must not nest deeper than ${JSON_DEPTH_MAX} levels`;
  for (const key in value) {
    if (!key.isWellFormed()) return "holds half a surrogate pair";
    const problem = problemWithin((value as Record<string, unknown>)[key], levels - 1);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Whether two valid texts hold deep-equal objects. Numbers compare by exact value. */
export function sameJson(left: string, right: string): boolean {
  return left === right || canonicalJson(left) === canonicalJson(right);
}

/**
 * Returns one text for all spellings of a value: sorted keys, resolved escapes, numbers as exact decimals.
 */
export function canonicalJson(text: string): string {
  return write(
    parseExactly(text, (_key, value, { source }) => {
      return typeof value === "number" ? new ExactNumber(canonicalNumber(source ?? String(value))) : value;
    }),
  );
}

/** JSON.parse with the third reviver argument of Node 24: the source text of a number. */
const parseExactly = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;

class ExactNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

function write(value: unknown): string {
  if (value instanceof ExactNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = value as Record<string, unknown>;
    const keys = Object.keys(fields).sort();
    return `{${keys.map((key) => `${JSON.stringify(key)}:${write(fields[key])}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

/** Returns equal texts for equal numbers: "1.50e3", "1500" and "1500.0"; also for 0 and -0. */
function canonicalNumber(source: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  if (digits === "") return "0";
  const significant = digits.replace(/0+$/, "");
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}
