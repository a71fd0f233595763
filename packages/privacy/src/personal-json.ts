// Renders the personal data of a message for an export.
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  isMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { TimestampSchema, timestampDate } from "@bufbuild/protobuf/wkt";
import { bytesToUuid } from "@muster/core";
import { fieldValue } from "./field-values.ts";
import { isPersonal, policyOf } from "./labels.ts";
import { reachesField } from "./reachable-fields.ts";

/**
 * Returns a JSON object with the labeled fields that are set, the timestamps, and the same parts of nested
 * messages. Names are those of the proto. A field that is labeled later appears automatically.
 */
export function personalJson(schema: DescMessage, message: Message): string {
  const members = schema.fields.flatMap((field) => {
    const value = isShown(field) ? fieldValue(message, field) : undefined;
    return value === undefined ? [] : [`${JSON.stringify(field.name)}:${jsonOfField(field, value)}`];
  });
  return `{${members.join(",")}}`;
}

const shown = new Map<DescField, boolean>();

function isShown(field: DescField): boolean {
  let cached = shown.get(field);
  if (cached === undefined) {
    cached = isExported(field) || (field.message !== undefined && reachesField(field.message, isExported));
    shown.set(field, cached);
  }
  return cached;
}

function isExported(field: DescField): boolean {
  return isPersonal(field) || field.message?.typeName === TimestampSchema.typeName;
}

function jsonOfField(field: DescField, value: unknown): string {
  if (field.fieldKind === "list") {
    return `[${(value as unknown[]).map((item) => jsonOfValue(field, item)).join(",")}]`;
  }
  if (field.fieldKind !== "map") return jsonOfValue(field, value);
  const entries = Object.entries(value as object);
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${jsonOfValue(field, item)}`).join(",")}}`;
}

function jsonOfValue(field: DescField, value: unknown): string {
  if (isMessage(value, TimestampSchema)) return JSON.stringify(timestampDate(value).toISOString());
  if (field.message !== undefined) return personalJson(field.message, value as Message);
  if (field.scalar === ScalarType.BYTES) return JSON.stringify(textOfBytes(value as Uint8Array));
  // The text as sent, including numbers of any length.
  if (field.scalar === ScalarType.STRING && policyOf(field).rawJson) {
    return (value as string) || "null";
  }
  if (typeof value === "bigint") return value.toString();
  if (field.enum !== undefined) return JSON.stringify(enumName(field.enum, value as number));
  return JSON.stringify(value);
}

/** The REST form: lower snake case, or the number of an unknown value. */
function enumName(type: DescEnum, value: number): string | number {
  return type.value[value]?.localName.toLowerCase() ?? value;
}

function textOfBytes(bytes: Uint8Array): string {
  return bytes.length === 16 ? bytesToUuid(bytes) : Buffer.from(bytes).toString("base64");
}
