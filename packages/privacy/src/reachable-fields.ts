// Searches the fields of a message type and of all nested types.
import type { DescField, DescMessage } from "@bufbuild/protobuf";

/** Returns whether any field at any depth matches. Types can be recursive, so each type is searched once. */
export function reachesField(schema: DescMessage, isMatch: (field: DescField) => boolean): boolean {
  const reached = new Set([schema]);
  for (const type of reached) {
    if (type.fields.some(isMatch)) return true;
    for (const { message } of type.fields) if (message !== undefined) reached.add(message);
  }
  return false;
}
