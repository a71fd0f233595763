// Pure. Defines the functions of predicates: parameters, result, cost and implementation. Regular expressions
// (`matches`) are left out, because their cost cannot be predicted from the size of the text.
import { TIME_TEXT_LENGTH_MAX, UNITS_PER_CONVERSION } from "../parse/limits.ts";
import { parseInstant, parseSpan } from "./time-literal.ts";
import { charge, isMap, keysOf, type Run, type Value, type ValueKind } from "./values.ts";

/** The type of a node as far as it is known when the predicate is saved. */
export type StaticType = ValueKind | "dyn";

export interface PredicateFunction {
  /** Called as `name(value)`, as `value.name(...)`, or both. */
  readonly forms: readonly ("function" | "method")[];
  readonly takes: readonly (readonly ValueKind[])[];
  readonly gives: ValueKind;
  /**
   * Units of a call, by the lengths of the arguments that are texts, otherwise 0. Rises with each length, so
   * that the largest texts bound the cost when the predicate is saved.
   */
  readonly units: (length: number, partLength: number) => number;
  /** Undefined if the values have the right kinds, but no result. */
  readonly apply: (run: Run, ...args: Value[]) => Value | undefined;
}

const WHOLE_NUMBER = /^[+-]?\d{1,16}$/;
const DECIMAL_NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const NUMBER_TEXT_LENGTH_MAX = 64;

export const FUNCTIONS: ReadonlyMap<string, PredicateFunction> = new Map([
  [
    "size",
    {
      forms: ["function", "method"],
      takes: [["string", "list", "map"]],
      gives: "number",
      // At least the units of the keys of a map with as many characters.
      units: (length) => length * 2,
      apply: sizeOf,
    },
  ],
  ["startsWith", onTexts((text, part) => text.startsWith(part), { units: Math.min })],
  ["endsWith", onTexts((text, part) => text.endsWith(part), { units: Math.min })],
  [
    "contains",
    // A search may compare each character with many characters of a long part.
    onTexts((text, part) => text.includes(part), {
      units: (length, partLength) => length * (1 + (partLength >> 5)),
    }),
  ],
  ["lowerAscii", changesCase(/[A-Z]+/g, (letters) => letters.toLowerCase())],
  ["upperAscii", changesCase(/[a-z]+/g, (letters) => letters.toUpperCase())],
  ["int", converts([["number", "string"]], "number", toWhole)],
  ["double", converts([["number", "string"]], "number", toNumber)],
  ["string", converts([["number", "string", "bool"]], "string", toText)],
  ["timestamp", parsesTime("timestamp", { units: (length) => 10 + 2 * length }, parseInstant)],
  ["duration", parsesTime("duration", { units: (length) => 20 + 6 * length }, parseSpan)],
] satisfies [string, PredicateFunction][]);

/** Calls a function of one or two arguments, and charges the call before. */
export function callFunction(declared: PredicateFunction, run: Run, one: Value, other: Value = null) {
  charge(run, declared.units(lengthOf(one), lengthOf(other)));
  return declared.apply(run, one, other);
}

function lengthOf(value: Value): number {
  return typeof value === "string" ? value.length : 0;
}

function onTexts(
  test: (text: string, part: string) => boolean,
  cost: Pick<PredicateFunction, "units">,
): PredicateFunction {
  return {
    forms: ["method"],
    takes: [["string"], ["string"]],
    gives: "bool",
    ...cost,
    apply(_run, text = null, part = null) {
      return typeof text === "string" && typeof part === "string" ? test(text, part) : undefined;
    },
  };
}

/** Only A to Z, because the case of other letters depends on the language. */
function changesCase(letters: RegExp, change: (letters: string) => string): PredicateFunction {
  return {
    forms: ["method"],
    takes: [["string"]],
    gives: "string",
    // Every stretch of letters is a call.
    units: (length) => length * 4,
    apply: (_run, text = null) => (typeof text === "string" ? text.replace(letters, change) : undefined),
  };
}

function converts(
  takes: PredicateFunction["takes"],
  gives: ValueKind,
  apply: PredicateFunction["apply"],
): PredicateFunction {
  return { forms: ["function"], takes, gives, units: () => UNITS_PER_CONVERSION, apply };
}

/** A timestamp or a duration stays as it is. */
function parsesTime(
  kind: "timestamp" | "duration",
  cost: Pick<PredicateFunction, "units">,
  parse: (text: string) => Value | undefined,
): PredicateFunction {
  return {
    forms: ["function"],
    takes: [["string", kind]],
    gives: kind,
    units: (length) => cost.units(Math.min(length, TIME_TEXT_LENGTH_MAX), 0),
    apply: (_run, value = null) => (typeof value === "string" ? parse(value) : value),
  };
}

/** Characters of a text (not UTF-16 units), items of a list, keys of a map. */
function sizeOf(run: Run, value: Value = null): number | undefined {
  if (typeof value === "string") {
    let characters = 0;
    for (const _character of value) characters += 1;
    return characters;
  }
  if (Array.isArray(value)) return value.length;
  return isMap(value) ? keysOf(run, value).length : undefined;
}

function toWhole(_run: Run, value: Value = null): number | undefined {
  if (typeof value === "string" && !WHOLE_NUMBER.test(value)) return undefined;
  const whole = Math.trunc(Number(value));
  return Number.isSafeInteger(whole) ? whole : undefined;
}

function toNumber(_run: Run, value: Value = null): number | undefined {
  if (typeof value !== "string") return Number(value);
  if (value.length > NUMBER_TEXT_LENGTH_MAX || !DECIMAL_NUMBER.test(value)) return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** Numbers in JavaScript's spelling: 3, 1.5, 1e+21. */
function toText(_run: Run, value: Value = null): string {
  return String(value);
}
