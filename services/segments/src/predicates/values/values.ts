// Pure. Defines the values of predicates: JSON values, instants, durations, and problems. A problem passes
// upwards until &&, || or exists absorbs it.
import { JSON_DEPTH_MAX } from "@muster/core";
import { UNITS_PER_KEY, UNITS_PER_VALUE } from "../parse/limits.ts";

/** Plain data. Only own keys count, whatever their names. */
export type JsonObject = { readonly [key: string]: unknown };
/** Unknown members are JSON; any other value is a problem where it is used. */
export type Value =
  | string
  | number
  | boolean
  | null
  | readonly unknown[]
  | JsonObject
  | Instant
  | Span
  | Problem;

/** A point in time, in nanoseconds since 1970 (CEL's timestamp). */
export class Instant {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

/** A length of time in nanoseconds (CEL's duration). */
export class Span {
  readonly nanos: bigint;
  constructor(nanos: bigint) {
    this.nanos = nanos;
  }
}

/**
 * The reason why a part has no value (a missing key, a wrong kind). Created once per node; the text is
 * created on demand.
 */
export class Problem {
  readonly describe: () => string;
  constructor(describe: () => string) {
    this.describe = describe;
  }
}

/** The state of one evaluation. Comprehensions do not nest, so one variable is enough. */
export interface Run {
  subject: unknown;
  item: unknown;
  /** Units of work used so far. */
  units: number;
  readonly unitsMax: number;
}

/** Thrown to end an evaluation. Unlike a problem, it must not be absorbed. */
export const UNITS_EXCEEDED = new Problem(() => "the data is too large for this predicate");

/** Charges units before the work is done. */
export function charge(run: Run, units: number): void {
  run.units += units;
  if (run.units > run.unitsMax) throw UNITS_EXCEEDED;
}

/** Units of the lookup of a key in a map or set, which reads the whole key. */
export function lookupUnits(key: unknown): number {
  return typeof key === "string" ? 1 + (key.length >> 3) : 1;
}

export type ValueKind = "bool" | "number" | "string" | "null" | "list" | "map" | "timestamp" | "duration";

/** Undefined for a problem, and for values that JSON cannot hold. */
export function kindOf(value: unknown): ValueKind | undefined {
  switch (typeof value) {
    case "string":
      return "string";
    case "number":
      return "number";
    case "boolean":
      return "bool";
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return "list";
      if (value instanceof Instant) return "timestamp";
      if (value instanceof Span) return "duration";
      return value instanceof Problem ? undefined : "map";
    default:
      return undefined;
  }
}

export function isMap(value: unknown): value is JsonObject {
  return kindOf(value) === "map";
}

export function keysOf(run: Run, map: JsonObject): string[] {
  const keys = Object.keys(map);
  charge(run, keys.length * UNITS_PER_KEY);
  return keys;
}

/** Deep equality; values of different kinds are unequal. Undefined if the nesting exceeds JSON's limit. */
export function equal(run: Run, left: unknown, right: unknown, levels = JSON_DEPTH_MAX): boolean | undefined {
  charge(run, UNITS_PER_VALUE);
  const kind = kindOf(left);
  if (kind !== kindOf(right)) return false;
  if (kind === "string" && typeof left === "string" && typeof right === "string") {
    if (left.length !== right.length) return false;
    charge(run, left.length >> 5);
    return left === right;
  }
  if (left instanceof Instant || left instanceof Span) {
    return (right instanceof Instant || right instanceof Span) && left.nanos === right.nanos;
  }
  const isList = Array.isArray(left) && Array.isArray(right);
  if (!isList && !(isMap(left) && isMap(right))) return left === right;
  if (levels === 0) return undefined;
  return isList ? equalLists(run, left, right, levels - 1) : equalMaps(run, left, right, levels - 1);
}

function equalLists(run: Run, left: unknown[], right: unknown[], levels: number): boolean | undefined {
  if (left.length !== right.length) return false;
  for (let at = 0; at < left.length; at += 1) {
    const same = equal(run, left[at], right[at], levels);
    if (same !== true) return same;
  }
  return true;
}

function equalMaps(run: Run, left: unknown, right: unknown, levels: number): boolean | undefined {
  if (!isMap(left) || !isMap(right)) return false;
  const keys = keysOf(run, left);
  if (keys.length !== keysOf(run, right).length) return false;
  for (const key of keys) {
    if (!Object.hasOwn(right, key)) return false;
    const same = equal(run, left[key], right[key], levels);
    if (same !== true) return same;
  }
  return true;
}

/**
 * Negative, zero or positive; undefined if the two values have no order. Strings are ordered by code point,
 * as in CEL. Numbers are compared by the caller.
 */
export function order(run: Run, left: unknown, right: unknown): number | undefined {
  if (typeof left === "string" && typeof right === "string") return orderTexts(run, left, right);
  if (typeof left === "boolean" && typeof right === "boolean") return Number(left) - Number(right);
  if (
    (left instanceof Instant && right instanceof Instant) ||
    (left instanceof Span && right instanceof Span)
  ) {
    return left.nanos < right.nanos ? -1 : Number(left.nanos > right.nanos);
  }
  return undefined;
}

function orderTexts(run: Run, left: string, right: string): number {
  const shorter = Math.min(left.length, right.length);
  charge(run, shorter);
  let at = 0;
  while (at < shorter && left.charCodeAt(at) === right.charCodeAt(at)) at += 1;
  if (at === shorter) return left.length - right.length;
  return codePointRank(left.charCodeAt(at)) - codePointRank(right.charCodeAt(at));
}

/** Surrogates encode characters above U+FFFF, so they rank above U+E000 to U+FFFF. */
function codePointRank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
