// JSON objects as callers send them: checked once, kept as text, compared exactly when they must be. Pure.
import { JSON_DEPTH_MAX } from "@muster/core";

/** What is wrong with `text` as a JSON object of bounded depth, or undefined when it is one. */
export function jsonObjectProblem(text: string): string | undefined {
  if (text === "{}") return undefined;
  // A lone surrogate has no UTF-8 form: stored, it would read back as another character.
  if (!text.isWellFormed()) return "must be valid Unicode";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "must be a JSON object";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "must be a JSON object";
  if (mayBeDeeperThan(text, JSON_DEPTH_MAX) && isDeeperThan(value, JSON_DEPTH_MAX))
    return `must not nest deeper than ${JSON_DEPTH_MAX} levels`;
  return undefined;
}

/** Whether so many brackets open at all. Cheap, and enough to clear most events. */
function mayBeDeeperThan(text: string, levels: number): boolean {
  let opened = 0;
  for (const bracket of "{[") {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) opened += 1;
  }
  return opened > levels;
}

function isDeeperThan(value: object, levels: number): boolean {
  if (levels === 0) return true;
  for (const key in value) {
    const child = (value as Record<string, unknown>)[key];
    if (typeof child === "object" && child !== null && isDeeperThan(child, levels - 1)) return true;
  }
  return false;
}

/** Whether two texts, both checked, hold deep-equal objects; numbers compare by their exact value. */
export function sameJson(left: string, right: string): boolean {
  return left === right || canonicalJson(left) === canonicalJson(right);
}

/** One text for all spellings of a value: keys sorted, escapes resolved, numbers as exact decimals. */
export function canonicalJson(text: string): string {
  return write(
    parseExactly(text, (_key, value, { source }) => {
      return typeof value === "number" ? new ExactNumber(canonicalNumber(source ?? String(value))) : value;
    }),
  );
}

/** JSON.parse as this Node has it: the reviver also sees a number's own text. */
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

/** "1.50e3", "1500" and "1500.0" are one number; so are 0 and -0. */
function canonicalNumber(source: string): string {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  if (digits === "") return "0";
  const significant = digits.replace(/0+$/, "");
  const power = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return `${sign}${significant}e${power}`;
}
