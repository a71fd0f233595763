// Reads a field's JSON into the message and writes the message's value as JSON text.
import { create, type DescField, ScalarType } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { DecodeError } from "./decode-error.ts";
import type { FieldOptions } from "./field-options.ts";
import { type DecodeContext, isJsonObject, jsonObjectText, plainNumber } from "./parse-json.ts";
import { enumCodec, scalarCodec } from "./scalar-codec.ts";
import type { LocalMessage, ValueCodec } from "./value-codec.ts";

export interface FieldCodec {
  readonly field: DescField;
  /** Codec of the value, of a list's item, or of a map's value. */
  readonly value: ValueCodec;
  /**
   * JSON null leaves the field unset, even for a google.protobuf.Value; in a new message nothing needs to be
   * done.
   */
  read(message: LocalMessage, json: unknown, context: DecodeContext): void;
  /** JSON text; "null" for an unset field that has presence. */
  write(message: LocalMessage): string;
}

/** Returns the codec of a message type. Lazy, because types may contain themselves. */
export type MessageCodecs = (field: DescField & { message: object }) => ValueCodec;

export function compileField(field: DescField, options: FieldOptions, messages: MessageCodecs): FieldCodec {
  const value = options.rawJson ? rawJsonCodec(field) : elementCodec(field, messages, options);
  switch (field.fieldKind) {
    case "list":
      return listField(field, value, options);
    case "map":
      return mapField(field, value, options);
    default:
      return singularField(field, value, options.rawJson);
  }
}

function elementCodec(field: DescField, messages: MessageCodecs, options: FieldOptions): ValueCodec {
  if (field.enum !== undefined) return enumCodec(field.enum);
  if (field.message === undefined) {
    const codec = scalarCodec(field.scalar, "longAsString" in field && field.longAsString);
    return options.jsonNumber ? numberAlone(codec) : codec;
  }
  if (!isWrapperDesc(field.message)) return messages(field);
  const inner = field.message.fields[0];
  if (inner?.fieldKind !== "scalar") throw new Error(`${field.message.typeName} has no value field`);
  const scalar = scalarCodec(inner.scalar, inner.longAsString);
  // protobuf-es stores a wrapper as a bare value in a singular field outside a oneof, else as a message.
  if (field.fieldKind === "message" && field.oneof === undefined) return scalar;
  const { message: desc } = field;
  const box = (bare: unknown): unknown => Object.assign(create(desc), { [inner.localName]: bare });
  const { fromText } = scalar;
  return {
    decode: (json, context) => box(scalar.decode(json, context)),
    encode: (message) => scalar.encode((message as LocalMessage)[inner.localName]),
    fromText: fromText && ((text) => box(fromText(text))),
  };
}

/** Accepts only JSON numbers that a double represents exactly, and no strings of digits. */
function numberAlone(codec: ValueCodec): ValueCodec {
  return {
    ...codec,
    decode(json, context) {
      const value = plainNumber(json, context);
      if (typeof value !== "number") throw new DecodeError("must be a number");
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw new DecodeError("must be within 2^53-1 of zero");
      }
      return codec.decode(json, context);
    },
  };
}

function rawJsonCodec(field: DescField): ValueCodec {
  if (field.scalar !== ScalarType.STRING || field.fieldKind !== "scalar") {
    throw new Error(`${field.parent.typeName}.${field.name}: raw_json is for singular string fields`);
  }
  return {
    decode: jsonObjectText,
    encode: (text) => (text === "" ? "{}" : String(text)),
    fromText: undefined,
  };
}

function singularField(field: DescField, value: ValueCodec, rawJson: boolean): FieldCodec {
  const { localName } = field;
  const { decode, encode } = value;
  const oneof = field.oneof?.localName;
  if (oneof !== undefined) {
    return {
      field,
      value,
      read(message, json, context) {
        if (json === null) return;
        const other = (message[oneof] as { case?: string }).case;
        if (other !== undefined && other !== localName) {
          throw new DecodeError(`cannot be given together with ${nameOf(field, other)}`);
        }
        message[oneof] = { case: localName, value: decode(json, context) };
      },
      write(message) {
        const chosen = message[oneof] as { case?: string; value?: unknown };
        return chosen.case === localName ? encode(chosen.value) : "null";
      },
    };
  }
  // An unset scalar with explicit presence may expose a default through the prototype (proto2, editions).
  const ownOnly = field.fieldKind !== "message" && field.presence !== IMPLICIT_PRESENCE;
  return {
    field,
    value,
    read(message, json, context) {
      if (json === null) return;
      message[localName] = decode(json, context);
    },
    write(message) {
      const kept = ownOnly && !Object.hasOwn(message, localName) ? undefined : message[localName];
      return kept === undefined ? (rawJson && !ownOnly ? "{}" : "null") : encode(kept);
    },
  };
}

// google.protobuf.FeatureSet.FieldPresence.IMPLICIT
const IMPLICIT_PRESENCE = 2;

function nameOf(field: DescField, localName: string): string {
  return field.oneof?.fields.find((sibling) => sibling.localName === localName)?.name ?? localName;
}

function listField(
  field: DescField,
  value: ValueCodec,
  { itemErrorsField: itemErrors, itemsMax }: FieldOptions,
): FieldCodec {
  const { localName } = field;
  const decodeItem = (json: unknown, context: DecodeContext): unknown => {
    if (json === null && value.takesNull !== true) throw new DecodeError("must not be null");
    return value.decode(json, context);
  };
  return {
    field,
    value,
    read(message, json, context) {
      if (json === null) return;
      if (!Array.isArray(json)) throw new DecodeError("must be an array");
      if (json.length > itemsMax) throw tooMany(itemsMax);
      const items: unknown[] = [];
      let unreadable = 0;
      const { depth } = context;
      for (let index = 0; index < json.length; index++) {
        try {
          items.push(decodeItem(json[index], context));
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
          unreadable += 1;
          if (itemErrors === undefined || unreadable > UNREADABLE_ITEMS_MAX) throw error.under(`[${index}]`);
          context.depth = depth;
          items.push(itemErrors.report(message, index, error));
        }
      }
      message[localName] = items;
    },
    write(message) {
      const items = message[localName] as readonly unknown[];
      if (items.length === 0) return "[]";
      let text = `[${value.encode(items[0])}`;
      for (let index = 1; index < items.length; index++) text += `,${value.encode(items[index])}`;
      return `${text}]`;
    },
  };
}

function tooMany(itemsMax: number): DecodeError {
  return new DecodeError(`must contain no more than ${itemsMax} items`, "FIELD_INVALID");
}

/** Limit for a list that reports unreadable items; a list with more is refused as a whole. */
const UNREADABLE_ITEMS_MAX = 5000;

function mapField(
  field: DescField & { fieldKind: "map" },
  value: ValueCodec,
  { itemsMax }: FieldOptions,
): FieldCodec {
  const { localName } = field;
  const key = scalarCodec(field.mapKey, false);
  return {
    field,
    value,
    read(message, json, context) {
      if (json === null) return;
      if (!isJsonObject(json, context)) throw new DecodeError("must be an object");
      const entries: LocalMessage = {};
      if (Object.keys(json).length > itemsMax) throw tooMany(itemsMax);
      for (const name in json) {
        try {
          const item = json[name];
          if (item === null && value.takesNull !== true) throw new DecodeError("must not be null");
          const canonical = String(key.fromText?.(name));
          setOwn(entries, canonical, value.decode(item, context));
        } catch (error) {
          throw error instanceof DecodeError ? error.under(`[${JSON.stringify(name)}]`) : error;
        }
      }
      message[localName] = entries;
    },
    write(message) {
      const entries = message[localName] as LocalMessage;
      const parts = Object.keys(entries).sort();
      return `{${parts.map((name) => `${JSON.stringify(name)}:${value.encode(entries[name])}`).join(",")}}`;
    },
  };
}

/** Assignment that creates an own property even for "__proto__". */
function setOwn(target: LocalMessage, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  } else {
    target[key] = value;
  }
}
