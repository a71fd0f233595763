// The fields of a type and of all types inside it.
import type { DescField, DescMessage } from "@bufbuild/protobuf";

/** Whether one of them, at whatever depth, is such. Types may hold themselves, so each is looked at once. */
export function reachesField(schema: DescMessage, isSuch: (field: DescField) => boolean): boolean {
  const reached = new Set([schema]);
  for (const type of reached) {
    if (type.fields.some(isSuch)) return true;
    for (const { message } of type.fields) if (message !== undefined) reached.add(message);
  }
  return false;
}
