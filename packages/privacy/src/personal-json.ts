// What an export shows of a message: what its labels say is about a person, and when.
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
 * A JSON object of the message's labelled fields that are set, of its times, and of what the messages inside it
 * hold of both, in the field names of the proto. A field that is labelled later appears by itself.
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
  let answer = shown.get(field);
  if (answer === undefined) {
    answer = isTold(field) || (field.message !== undefined && reachesField(field.message, isTold));
    shown.set(field, answer);
  }
  return answer;
}

function isTold(field: DescField): boolean {
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
  // As the text it was sent as, numbers of any length included.
  if (field.scalar === ScalarType.STRING && policyOf(field).rawJson) {
    return (value as string) || "null";
  }
  if (typeof value === "bigint") return value.toString();
  if (field.enum !== undefined) return JSON.stringify(enumName(field.enum, value as number));
  return JSON.stringify(value);
}

/** As REST shows it: lower snake case, and the number where no name is known. */
function enumName(type: DescEnum, value: number): string | number {
  return type.value[value]?.localName.toLowerCase() ?? value;
}

function textOfBytes(bytes: Uint8Array): string {
  return bytes.length === 16 ? bytesToUuid(bytes) : Buffer.from(bytes).toString("base64");
}
