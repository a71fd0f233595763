// Writes the position of a row as the values of a page token, and reads it back. Pure.
import type { Value } from "@muster/db";
import type { SortPosition } from "./page-ranges.ts";
import type { Sort } from "./parse-sort.ts";

const NULL = "";
const BYTES = "=";
const ID_BYTES = 16;

/** Numbers stay numbers; bytes and null become texts. */
export function positionText(position: SortPosition): (string | number)[] {
  return position.map((value) => {
    if (Buffer.isBuffer(value)) return `${BYTES}${value.toString("base64url")}`;
    return value === null ? NULL : Number(value);
  });
}

/** Undefined for values that are no position of the sort. */
export function parsePosition(values: readonly (string | number)[], sort: Sort): SortPosition | undefined {
  if (values.length !== sort.keys.length + 1) return undefined;
  const position: Value[] = [];
  for (const [index, value] of values.entries()) {
    const field = sort.keys[index]?.field;
    const isText = field === undefined || field.type.kind === "text" || field.type.kind === "enum";
    if (value === NULL && field?.isNullable === true) position.push(null);
    else if (typeof value === "number" && !isText) position.push(value);
    else if (typeof value === "string" && isText && value.startsWith(BYTES)) {
      position.push(Buffer.from(value.slice(BYTES.length), "base64url"));
    } else return undefined;
  }
  const id = position.at(-1);
  return Buffer.isBuffer(id) && id.length === ID_BYTES ? position : undefined;
}
