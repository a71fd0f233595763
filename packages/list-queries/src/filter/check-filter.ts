// Checks the comparisons of a parsed filter against the fields of a list, and reads their values.
import { isUuid, uuidToBytes } from "@muster/core";
import { queryError } from "../query-error.ts";
import { textKey } from "../words/text-key.ts";
import { instantSpan, type Span } from "./instant-span.ts";
import type { FieldType, ListField, ListFields } from "./list-fields.ts";
import { type Operator, type ParsedComparison, type ParsedFilter, parseFilter } from "./parse-filter.ts";
import { patternOf, type TextPattern } from "./text-pattern.ts";
import type { Token } from "./tokens.ts";

export type FilterValue =
  | { readonly kind: "span"; readonly span: Span }
  | { readonly kind: "bytes"; readonly bytes: Buffer }
  /** Of text keys. */
  | { readonly kind: "pattern"; readonly pattern: TextPattern };

export interface Comparison {
  readonly kind: "comparison";
  readonly field: ListField;
  readonly operator: Operator;
  readonly values: readonly FilterValue[];
}

export interface Logic {
  readonly kind: "and" | "or";
  readonly conditions: readonly Filter[];
}

/** A filter whose fields, operators and values are checked. */
export type Filter = Comparison | Logic;

const INTEGER = /^-?\d{1,16}$/;

/** Undefined for an empty filter. FIELD_INVALID with a position for a filter that the list does not take. */
export function readFilter(filter: string, fields: ListFields): Filter | undefined {
  return filter === "" ? undefined : checked(parseFilter(filter), fields);
}

function checked(parsed: ParsedFilter, fields: ListFields): Filter {
  if (parsed.kind === "comparison") return checkedComparison(parsed, fields);
  return { kind: parsed.kind, conditions: [checked(parsed.left, fields), checked(parsed.right, fields)] };
}

function checkedComparison(parsed: ParsedComparison, fields: ListFields): Comparison {
  const { selector, operator } = parsed;
  const field = Object.hasOwn(fields, selector.text) ? fields[selector.text] : undefined;
  if (field === undefined) {
    const names = Object.keys(fields).join(", ");
    throw queryError("filter", `has an unknown field; the fields are ${names}`, selector.position);
  }
  const takesList = operator === "=in=" || operator === "=out=";
  if (takesList !== parsed.isList) {
    const message = takesList
      ? `takes a list after ${operator}, such as (a,b)`
      : `takes a list after =in= and =out= only`;
    throw queryError("filter", message, parsed.values[0]?.position ?? parsed.operatorPosition);
  }
  const isOrder = !takesList && operator !== "==" && operator !== "!=";
  if (isOrder && (field.type.kind === "enum" || field.type.kind === "boolean")) {
    const message = `takes only ==, !=, =in= and =out= for ${selector.text}`;
    throw queryError("filter", message, parsed.operatorPosition);
  }
  const values = parsed.values.map((value) => readValue(field.type, value, isOrder));
  return { kind: "comparison", field, operator, values };
}

function readValue(type: FieldType, token: Token, isOrder: boolean): FilterValue {
  const pattern = patternOf(token);
  if (pattern.length > 1 && (type.kind !== "text" || isOrder)) {
    const message = "takes the wildcard * only for text after ==, !=, =in= and =out=";
    throw queryError("filter", message, token.position);
  }
  if (type.kind === "text")
    return { kind: "pattern", pattern: pattern.map(textKey) as unknown as TextPattern };
  const value = typedValue(type, pattern[0]);
  if (value === undefined) throw queryError("filter", `needs ${needed(type)}`, token.position);
  return value;
}

/** Undefined for a text that is no value of the type. */
function typedValue(
  type: Exclude<FieldType, { readonly kind: "text" }>,
  text: string,
): FilterValue | undefined {
  switch (type.kind) {
    case "id":
      return isUuid(text) ? { kind: "bytes", bytes: uuidToBytes(text) } : undefined;
    case "enum":
      return type.values.includes(text) ? { kind: "bytes", bytes: Buffer.from(text) } : undefined;
    case "boolean":
      return text === "true" || text === "false" ? exactly(text === "true" ? 1 : 0) : undefined;
    case "integer":
      return INTEGER.test(text) && Number.isSafeInteger(Number(text)) ? exactly(Number(text)) : undefined;
    case "instant": {
      const span = instantSpan(text);
      return span && { kind: "span", span };
    }
  }
}

function exactly(value: number): FilterValue {
  return { kind: "span", span: { from: value, to: value } };
}

function needed(type: FieldType): string {
  switch (type.kind) {
    case "id":
      return "an id, which is a UUID in lower case";
    case "enum":
      return `one of ${type.values.join(", ")}`;
    case "boolean":
      return "true or false";
    case "integer":
      return "a whole number";
    case "instant":
      return "a date such as 2025-01-31, or a time with its zone such as 2025-01-31T12:00:00Z";
    case "text":
      return "a text";
  }
}
