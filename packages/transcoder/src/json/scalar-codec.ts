// Encodes and decodes scalars and enums. Strict: no conversions beyond ProtoJSON, no rounding.
import type { DescEnum } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { DecodeError } from "./decode-error.ts";
import { checkString, type DecodeContext, plainNumber } from "./parse-json.ts";
import type { ValueCodec } from "./value-codec.ts";

const INTEGER = /^-?(?:0|[1-9]\d{0,18})$/;
const UNSIGNED = /^(?:0|[1-9]\d{0,19})$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const NUMBER_CHARACTERS_MAX = 400;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;
/** Values of an enum that an error message lists. */
const CHOICES_MAX = 20;
const FLOAT_MAX = 3.4028234663852886e38;

/** `longAsString`: the field keeps its 64-bit integer as a string (jstype = JS_STRING). */
export function scalarCodec(scalar: ScalarType, longAsString: boolean): ValueCodec {
  switch (scalar) {
    case ScalarType.STRING:
      return stringCodec;
    case ScalarType.BOOL:
      return boolCodec;
    case ScalarType.BYTES:
      return bytesCodec;
    case ScalarType.DOUBLE:
      return floatCodec(Number.MAX_VALUE);
    case ScalarType.FLOAT:
      return floatCodec(FLOAT_MAX);
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return int32Codec(-(2 ** 31), 2 ** 31 - 1);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return int32Codec(0, 2 ** 32 - 1);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return int64Codec(-(2n ** 63n), 2n ** 63n - 1n, longAsString);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return int64Codec(0n, 2n ** 64n - 1n, longAsString);
  }
}

const stringCodec: ValueCodec = {
  decode(json, context) {
    if (typeof json !== "string") throw new DecodeError("must be a string");
    return checkString(json, context);
  },
  encode: quote,
  fromText: (text) => text,
};

// Most strings need no escape, and this test is cheaper than JSON.stringify.
const PLAIN = /^[ !#-[\]-~]*$/;
const PLAIN_CHARACTERS_MAX = 64;

function quote(value: unknown): string {
  const text = value as string;
  return text.length <= PLAIN_CHARACTERS_MAX && PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

const boolCodec: ValueCodec = {
  decode(json) {
    if (typeof json !== "boolean") throw new DecodeError("must be true or false");
    return json;
  },
  encode: (value) => (value === true ? "true" : "false"),
  fromText(text) {
    if (text !== "true" && text !== "false") throw new DecodeError("must be true or false");
    return text === "true";
  },
};

const bytesCodec: ValueCodec = {
  decode(json) {
    if (typeof json !== "string") throw new DecodeError("must be a base64 string");
    return decodeBase64(json);
  },
  encode(value) {
    const bytes = value as Uint8Array;
    return `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")}"`;
  },
  fromText: decodeBase64,
};

function decodeBase64(text: string): Uint8Array {
  const bare = text.endsWith("=") ? text.replace(/=+$/, "") : text;
  const padded = bare.length !== text.length;
  if (!BASE64.test(text) || bare.length % 4 === 1 || (padded && text.length % 4 !== 0)) {
    throw new DecodeError("must be base64");
  }
  return new Uint8Array(Buffer.from(text, "base64"));
}

function floatCodec(max: number): ValueCodec {
  const check = (value: number): number => {
    if (Math.abs(value) > max) throw new DecodeError("is a number out of range");
    return value;
  };
  const fromText = (text: string): number => {
    if (text === "NaN") return Number.NaN;
    if (text === "Infinity") return Number.POSITIVE_INFINITY;
    if (text === "-Infinity") return Number.NEGATIVE_INFINITY;
    if (text.length > NUMBER_CHARACTERS_MAX || !NUMBER.test(text)) throw new DecodeError("must be a number");
    return check(Number(text));
  };
  return {
    decode(json, context) {
      if (typeof json === "string") return fromText(json);
      const value = plainNumber(json, context);
      if (typeof value !== "number") throw new DecodeError("must be a number");
      return check(value);
    },
    encode: (value) => (Number.isFinite(value) ? JSON.stringify(value) : `"${value}"`),
    fromText,
  };
}

function int32Codec(min: number, max: number): ValueCodec {
  const check = (value: number): number => {
    if (value < min || value > max) throw new DecodeError(`must be an integer from ${min} to ${max}`);
    return value === 0 ? 0 : value;
  };
  const fromText = (text: string): number => {
    if (!INTEGER.test(text)) throw new DecodeError("must be an integer");
    return check(Number(text));
  };
  return {
    decode(json, context) {
      if (typeof json === "string") return fromText(json);
      const value = plainNumber(json, context);
      if (typeof value !== "number" || !Number.isInteger(value)) throw new DecodeError("must be an integer");
      return check(value);
    },
    encode: (value) => String(value),
    fromText,
  };
}

function int64Codec(min: bigint, max: bigint, longAsString: boolean): ValueCodec {
  const grammar = min === 0n ? UNSIGNED : INTEGER;
  const keep = (value: bigint): bigint | string => {
    if (value < min || value > max) throw new DecodeError(`must be an integer from ${min} to ${max}`);
    return longAsString ? value.toString() : value;
  };
  const fromText = (text: string): bigint | string => {
    if (!grammar.test(text)) throw new DecodeError("must be an integer in decimal digits");
    return keep(BigInt(text));
  };
  return {
    decode(json, context) {
      if (typeof json === "string") return fromText(json);
      const value = plainNumber(json, context);
      if (typeof value !== "number" || !Number.isInteger(value)) throw new DecodeError("must be an integer");
      // Beyond 2^53-1 the number as sent is lost already: only a string can represent the value.
      if (!Number.isSafeInteger(value)) throw new DecodeError("must be a string above 2^53-1");
      return keep(BigInt(value));
    },
    encode: (value) => String(value),
    fromText,
  };
}

/**
 * Names without the enum's prefix, in lower case. Input accepts any case, names with or without the prefix,
 * and numbers.
 */
export function enumCodec(desc: DescEnum): ValueCodec {
  if (desc.typeName === "google.protobuf.NullValue") return nullCodec;
  const prefix = `${desc.name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toUpperCase()}_`;
  const numbers = new Map<string, number>();
  const texts = new Map<number, string>();
  for (const value of desc.values) {
    const short = (
      value.name.startsWith(prefix) ? value.name.slice(prefix.length) : value.name
    ).toLowerCase();
    numbers.set(value.name.toLowerCase(), value.number).set(short, value.number);
    if (!texts.has(value.number)) texts.set(value.number, JSON.stringify(short));
  }
  // The unspecified value stands for a missing one, so it is no choice.
  const names = [...texts.values()].map((text) => JSON.parse(text)).filter((name) => name !== "unspecified");
  const choices = names.slice(0, CHOICES_MAX).join(", ");
  const unknown = (): DecodeError => new DecodeError(`must be one of ${choices}`);
  const fromNumber = (value: number): number => {
    if (!texts.has(value)) throw unknown();
    return value;
  };
  const fromText = (text: string): number => {
    const number = numbers.get(text) ?? numbers.get(text.toLowerCase());
    if (number !== undefined) return number;
    if (!INTEGER.test(text)) throw unknown();
    return fromNumber(Number(text));
  };
  return {
    decode(json, context: DecodeContext) {
      if (typeof json === "string") return fromText(json);
      const value = plainNumber(json, context);
      if (typeof value !== "number") throw unknown();
      return fromNumber(value);
    },
    encode: (value) => texts.get(value as number) ?? String(value),
    fromText,
  };
}

const nullCodec: ValueCodec = {
  decode(json) {
    if (json !== null) throw new DecodeError("must be null");
    return 0;
  },
  encode: () => "null",
  fromText: undefined,
  takesNull: true,
};
