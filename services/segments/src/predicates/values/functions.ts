// Pure. Defines the functions of predicates: parameters, result and implementation. Regular expressions
// (`matches`) are left out, because their cost cannot be predicted from the size of the text.
import { parseInstant, parseSpan } from "./time-literal.ts";
import { isMap, keysOf, type Run, scan, type Value, type ValueKind } from "./values.ts";

/** The type of a node as far as it is known when the predicate is saved. */
export type StaticType = ValueKind | "dyn";

export interface PredicateFunction {
  /** Called as `name(value)`, as `value.name(...)`, or both. */
  readonly forms: readonly ("function" | "method")[];
  readonly takes: readonly (readonly ValueKind[])[];
  readonly gives: ValueKind;
  /** Undefined if the values have the right kinds, but no result. */
  readonly apply: (run: Run, ...args: Value[]) => Value | undefined;
}

const WHOLE_NUMBER = /^[+-]?\d{1,16}$/;
const DECIMAL_NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const NUMBER_TEXT_LENGTH_MAX = 64;

export const FUNCTIONS: ReadonlyMap<string, PredicateFunction> = new Map([
  [
    "size",
    { forms: ["function", "method"], takes: [["string", "list", "map"]], gives: "number", apply: sizeOf },
  ],
  [
    "startsWith",
    onTexts((_run, text, part) => text.startsWith(part), {
      units: (_text, part) => part.length,
    }),
  ],
  ["endsWith", onTexts((_run, text, part) => text.endsWith(part), { units: (_text, part) => part.length })],
  [
    "contains",
    // A search may compare each character with many characters of a long part.
    onTexts((_run, text, part) => text.includes(part), {
      units: (text, part) => text.length * (1 + (part.length >> 5)),
    }),
  ],
  ["lowerAscii", changesCase(/[A-Z]+/g, (letters) => letters.toLowerCase())],
  ["upperAscii", changesCase(/[a-z]+/g, (letters) => letters.toUpperCase())],
  ["int", { forms: ["function"], takes: [["number", "string"]], gives: "number", apply: toWhole }],
  ["double", { forms: ["function"], takes: [["number", "string"]], gives: "number", apply: toNumber }],
  ["string", { forms: ["function"], takes: [["number", "string", "bool"]], gives: "string", apply: toText }],
  [
    "timestamp",
    {
      forms: ["function"],
      takes: [["string", "timestamp"]],
      gives: "timestamp",
      apply: (_run, value = null) => (typeof value === "string" ? parseInstant(value) : value),
    },
  ],
  [
    "duration",
    {
      forms: ["function"],
      takes: [["string", "duration"]],
      gives: "duration",
      apply: (_run, value = null) => (typeof value === "string" ? parseSpan(value) : value),
    },
  ],
] satisfies [string, PredicateFunction][]);

function onTexts(
  test: (run: Run, text: string, part: string) => boolean,
  cost: { units: (text: string, part: string) => number },
): PredicateFunction {
  return {
    forms: ["method"],
    takes: [["string"], ["string"]],
    gives: "bool",
    apply(run, text = null, part = null) {
      if (typeof text !== "string" || typeof part !== "string") return undefined;
      scan(run, cost.units(text, part));
      return test(run, text, part);
    },
  };
}

/** Only A to Z, because the case of other letters depends on the language. */
function changesCase(letters: RegExp, change: (letters: string) => string): PredicateFunction {
  return {
    forms: ["method"],
    takes: [["string"]],
    gives: "string",
    apply(run, text = null) {
      if (typeof text !== "string") return undefined;
      // Every stretch of letters is a call.
      scan(run, text.length * 3);
      return text.replace(letters, change);
    },
  };
}

/** Characters of a text (not UTF-16 units), items of a list, keys of a map. */
function sizeOf(run: Run, value: Value = null): number | undefined {
  if (typeof value === "string") {
    scan(run, value.length);
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
