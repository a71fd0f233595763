// Reads the update mask of an Update request: which fields change.
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { invalidField } from "@muster/errors";

/** Longest part of an unknown path in an error message. */
const PATH_CHARS_MAX = 100;

/** The property of the changes for each mask path. */
export type ChangeableFields<Changes> = Readonly<Record<string, keyof Changes>>;

/**
 * Returns the mask paths of the fields that a request changes, each once. Without a mask these are the fields that
 * are set (a list: not empty). Throws FIELD_INVALID for a path that is not in `fields`.
 */
export function changedPaths<Changes extends object, const Fields extends ChangeableFields<Changes>>(
  updateMask: FieldMask | undefined,
  changes: Changes | undefined,
  fields: Fields,
): (keyof Fields & string)[] {
  type Path = keyof Fields & string;
  const paths = updateMask?.paths ?? [];
  if (paths.length === 0) {
    return (Object.keys(fields) as Path[]).filter((path) => isSet(changes?.[fields[path] as keyof Changes]));
  }
  for (const path of paths) {
    if (!Object.hasOwn(fields, path)) {
      throw invalidField(
        "update_mask",
        `names no field that can be changed: ${path.slice(0, PATH_CHARS_MAX)}`,
      );
    }
  }
  return [...new Set(paths as Path[])];
}

function isSet(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined;
}
