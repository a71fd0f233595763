// Parses the sort keys of a list: field names with commas between them, each after "-" descending. Pure.
import type { OrderColumn } from "@muster/db";
import type { ListField, ListFields } from "../filter/list-fields.ts";
import { codePointsBefore, queryError } from "../query-error.ts";

export interface SortKey extends OrderColumn {
  readonly field: ListField;
}

/** The keys in order, and the direction of the id, which decides between rows that are equal by the keys. */
export interface Sort {
  readonly keys: readonly SortKey[];
  readonly idDirection: "asc" | "desc";
}

/** FIELD_INVALID with a position for an unknown field, a field that is given twice, or an empty key. */
export function parseSort(sort: string, fields: ListFields): Sort {
  const keys: SortKey[] = [];
  let idDirection: Sort["idDirection"] | undefined;
  let index = 0;
  for (const part of sort === "" ? [] : sort.split(",")) {
    const position = codePointsBefore(sort, index);
    index += part.length + 1;
    const key = readKey(part, fields, position);
    const isRepeated = keys.some(({ column }) => column === key.column);
    const isId = key.field.type.kind === "id";
    if (isRepeated || (isId && idDirection !== undefined)) {
      throw queryError("sort", "has a field twice", position);
    }
    // Keys after the id decide nothing, because the id is unique.
    if (isId) idDirection = key.direction;
    else if (idDirection === undefined) keys.push(key);
  }
  return { keys, idDirection: idDirection ?? "asc" };
}

function readKey(part: string, fields: ListFields, position: number): SortKey {
  const name = part.replace(/^-/, "");
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (field === undefined) {
    const names = Object.keys(fields).join(", ");
    const message = `takes fields with commas between them, each with "-" before it for descending: ${names}`;
    throw queryError("sort", message, position);
  }
  return { field, column: field.column, direction: part.startsWith("-") ? "desc" : "asc" };
}
