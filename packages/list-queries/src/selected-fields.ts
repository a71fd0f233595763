// Reads `fields` of a request, and clears the other fields of resources.
import { clearField, type DescField, type Message } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { codePointsBefore, queryError } from "./query-error.ts";

/** FIELD_INVALID with a position for a field that is not selectable. Empty for every field. */
export function selectedFields(
  mask: FieldMask | undefined,
  selectable: readonly DescField[],
): readonly string[] {
  const paths = mask?.paths ?? [];
  requireNames(
    "fields",
    paths,
    selectable.map(({ name }) => name),
  );
  return paths;
}

/** Clears the selectable fields that are not selected, so that no mount returns them. */
export function clearUnselected<Resource extends Message>(
  resource: Resource,
  selectable: readonly DescField[],
  selected: readonly string[],
): Resource {
  if (selected.length === 0) return resource;
  for (const field of selectable) {
    if (!selected.includes(field.name)) clearField(resource, field);
  }
  return resource;
}

/** FIELD_INVALID with the position of the first name that is not known. */
export function requireNames(argument: string, given: readonly string[], known: readonly string[]): void {
  const text = given.join(",");
  let index = 0;
  for (const name of given) {
    if (!known.includes(name)) {
      throw queryError(argument, `takes only ${known.join(", ")}`, codePointsBefore(text, index));
    }
    index += name.length + 1;
  }
}
