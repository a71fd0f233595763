// Renders a message for logs: structure, ids and names of resources, without personal data and secrets.
import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { bytesToUuid } from "@muster/core";
import { fieldValue } from "./field-values.ts";
import { needsLabel, PersonalData, personalDataOf } from "./labels.ts";
import { profileIdOf } from "./subjects.ts";

const REDACTED = "[redacted]";
/** Items of a list or map; further items are only counted. */
const ITEMS_MAX = 10;
const DEPTH_MAX = 6;
const TEXT_LENGTH_MAX = 128;

/** A value that JSON can hold. */
export type RedactedMessage = { readonly [field: string]: unknown };

/**
 * Returns the message as a plain object with the field names of the proto. Text and bytes appear only with
 * the label NONE, and profile ids only if valid. Long texts and lists are truncated.
 */
export function redact(schema: DescMessage, message: Message): RedactedMessage {
  return redactMessage(schema, message, 1);
}

function redactMessage(schema: DescMessage, message: Message, depth: number): RedactedMessage {
  const shown: Record<string, unknown> = {};
  for (const field of schema.fields) {
    const value = fieldValue(message, field);
    if (value !== undefined) shown[field.name] = redactField(field, value, depth);
  }
  return shown;
}

function redactField(field: DescField, value: unknown, depth: number): unknown {
  if (field.fieldKind === "list")
    return truncateList(value as unknown[], (item) => redactValue(field, item, depth));
  if (field.fieldKind !== "map") return redactValue(field, value, depth);
  // The keys of a map are as personal as the values.
  return truncateList(Object.values(value as object), (item) => redactValue(field, item, depth));
}

function truncateList(values: readonly unknown[], show: (value: unknown) => unknown): unknown[] {
  const shown = values.slice(0, ITEMS_MAX).map(show);
  const left = values.length - shown.length;
  return left > 0 ? [...shown, `and ${left} more`] : shown;
}

function redactValue(field: DescField, value: unknown, depth: number): unknown {
  const label = personalDataOf(field);
  const isLoggable =
    label === PersonalData.NONE || (label === PersonalData.UNSPECIFIED && !needsLabel(field));
  if (label === PersonalData.SUBJECT) return profileIdOf(value) ?? REDACTED;
  if (!isLoggable) return REDACTED;
  if (field.message !== undefined && depth >= DEPTH_MAX) return "…";
  if (field.message !== undefined) return redactMessage(field.message, value as Message, depth + 1);
  if (field.scalar === ScalarType.BYTES) return showBytes(value as Uint8Array);
  if (typeof value === "bigint") return value.toString();
  return typeof value === "string" && value.length > TEXT_LENGTH_MAX
    ? `${value.slice(0, TEXT_LENGTH_MAX)}…`
    : value;
}

function showBytes(bytes: Uint8Array): string {
  return bytes.length === 16 ? bytesToUuid(bytes) : `${bytes.length} bytes`;
}
