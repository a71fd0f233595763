// Reads and removes field values of messages, in the forms that the generated types use.
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";

type FieldValues = Record<string, unknown>;
interface OneofValue {
  case: string | undefined;
  value?: unknown;
}

/** Undefined when the field is unset. An empty list or map is a value. */
export function fieldValue(message: Message, field: DescField): unknown {
  const values = message as unknown as FieldValues;
  if (field.oneof === undefined) return values[field.localName];
  const selected = values[field.oneof.localName] as OneofValue;
  return selected.case === field.localName ? selected.value : undefined;
}

/** Returns the messages in a field: none, a single message, or all messages of a list or map. */
export function messagesOf(message: Message, field: DescField): Message[] {
  if (field.message === undefined) return [];
  const value = fieldValue(message, field);
  if (value === undefined) return [];
  if (field.fieldKind === "list") return value as Message[];
  if (field.fieldKind === "map") return Object.values(value as Record<string, Message>);
  return [value as Message];
}

export function clearField(schema: DescMessage, message: Message, field: DescField): void {
  reflect(schema, message).clear(field);
}

/**
 * Removes the values for which `keeps` returns false, from a list, a map or a single field. Returns whether a
 * value was removed.
 */
export function filterField(
  schema: DescMessage,
  message: Message,
  field: DescField,
  keeps: (value: unknown) => boolean,
): boolean {
  const value = fieldValue(message, field);
  if (value === undefined) return false;
  if (field.fieldKind === "list") {
    const list = value as unknown[];
    const kept = list.filter(keeps);
    (message as unknown as FieldValues)[field.localName] = kept;
    return kept.length < list.length;
  }
  if (field.fieldKind === "map") {
    const map = value as FieldValues;
    const removedKeys = Object.keys(map).filter((key) => !keeps(map[key]));
    for (const key of removedKeys) delete map[key];
    return removedKeys.length > 0;
  }
  if (keeps(value)) return false;
  clearField(schema, message, field);
  return true;
}
