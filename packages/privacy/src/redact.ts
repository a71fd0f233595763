// What a log may show of a message: its shape, ids and names of things, never a person or a secret.
import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { bytesToUuid } from "@muster/core";
import { fieldValue } from "./field-values.ts";
import { needsLabel, PersonalData, personalDataOf } from "./labels.ts";
import { profileIdOf } from "./subjects.ts";

const REDACTED = "[redacted]";
/** Of a list or map; the rest is counted. */
const ITEMS_MAX = 10;
const DEPTH_MAX = 6;
const TEXT_LENGTH_MAX = 128;

/** What JSON can hold. */
export type RedactedMessage = { readonly [field: string]: unknown };

/**
 * The message as a plain object in the field names of its proto. Text and bytes show only if their label says
 * that they tell nothing about a person, ids of profiles only if they are ids. Long texts and lists are cut.
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
  if (field.fieldKind === "list") return cut(value as unknown[], (item) => redactValue(field, item, depth));
  if (field.fieldKind !== "map") return redactValue(field, value, depth);
  // A map's keys are as personal as its values.
  return cut(Object.values(value as object), (item) => redactValue(field, item, depth));
}

function cut(values: readonly unknown[], show: (value: unknown) => unknown): unknown[] {
  const shown = values.slice(0, ITEMS_MAX).map(show);
  const left = values.length - shown.length;
  return left > 0 ? [...shown, `and ${left} more`] : shown;
}

function redactValue(field: DescField, value: unknown, depth: number): unknown {
  const label = personalDataOf(field);
  const isOpen = label === PersonalData.NONE || (label === PersonalData.UNSPECIFIED && !needsLabel(field));
  if (label === PersonalData.SUBJECT) return profileIdOf(value) ?? REDACTED;
  if (!isOpen) return REDACTED;
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
