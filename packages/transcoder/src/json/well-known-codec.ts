// The google.protobuf types with a JSON form of their own. Struct stays a plain object in fields, as
// protobuf-es keeps it; wrappers are handled where their field is.
import { type DescMessage, fromJson, type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import {
  type Duration,
  type FieldMask,
  ListValueSchema,
  type Timestamp,
  ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { DecodeError } from "./decode-error.ts";
import { isJsonObject, plainJson } from "./parse-json.ts";
import { formatDuration, formatInstant, parseDuration, parseInstant } from "./time-text.ts";
import type { ValueCodec } from "./value-codec.ts";

const MASK = /^[A-Za-z0-9_.,]*$/;

/** The codec of a well-known type, except Any and the wrappers; undefined for any other message. */
export function wellKnownCodec(desc: DescMessage): ValueCodec | undefined {
  return byName[desc.typeName];
}

const timestampCodec = textual(
  (text) => ({ $typeName: "google.protobuf.Timestamp", ...parseInstant(text) }) satisfies Timestamp,
  (message) => formatInstant(message as Timestamp),
);

const durationCodec = textual(
  (text) => ({ $typeName: "google.protobuf.Duration", ...parseDuration(text) }) satisfies Duration,
  (message) => formatDuration(message as Duration),
);

const fieldMaskCodec = textual(
  (text) => ({ $typeName: "google.protobuf.FieldMask", paths: parseMaskPaths(text) }) satisfies FieldMask,
  (message) => (message as FieldMask).paths.join(","),
);

/** Commas between paths; camelCase becomes snake_case. */
function parseMaskPaths(text: string): string[] {
  if (text === "") return [];
  const paths = text.split(",");
  if (!MASK.test(text) || paths.some((path) => path.split(".").includes(""))) {
    throw new DecodeError("must be field paths with commas between them");
  }
  return paths.map((path) => path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}

function textual(parse: (text: string) => Message, format: (message: unknown) => string): ValueCodec {
  return {
    decode(json) {
      if (typeof json !== "string") throw new DecodeError("must be a string");
      return parse(json);
    },
    encode: (value) => `"${format(value)}"`,
    fromText: parse,
  };
}

const structCodec: ValueCodec = {
  decode(json, context) {
    if (!isJsonObject(json, context)) throw new DecodeError("must be an object");
    return plainJson(json, context);
  },
  encode: (value) => JSON.stringify(value),
  fromText: undefined,
};

const valueCodec: ValueCodec = {
  decode: (json, context) => fromJson(ValueSchema, plainJson(json, context) as JsonValue),
  encode: (value) => JSON.stringify(toJson(ValueSchema, value as never)),
  fromText: undefined,
  takesNull: true,
};

const listValueCodec: ValueCodec = {
  decode(json, context) {
    if (!Array.isArray(json)) throw new DecodeError("must be an array");
    return fromJson(ListValueSchema, plainJson(json, context) as JsonValue);
  },
  encode: (value) => JSON.stringify(toJson(ListValueSchema, value as never)),
  fromText: undefined,
};

const byName: Readonly<Record<string, ValueCodec>> = {
  "google.protobuf.Timestamp": timestampCodec,
  "google.protobuf.Duration": durationCodec,
  "google.protobuf.FieldMask": fieldMaskCodec,
  "google.protobuf.Struct": structCodec,
  "google.protobuf.Value": valueCodec,
  "google.protobuf.ListValue": listValueCodec,
};
