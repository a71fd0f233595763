// Encodes google.protobuf.Any as an object with "@type", for the types of the registry.
import {
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  type Registry,
  toJson,
} from "@bufbuild/protobuf";
import {
  type Any,
  anyPack,
  anyUnpack,
  isWrapperDesc,
  type Struct,
  StructSchema,
} from "@bufbuild/protobuf/wkt";
import { DecodeError } from "./decode-error.ts";
import { type DecodeContext, isJsonObject, plainJson } from "./parse-json.ts";
import type { ValueCodec } from "./value-codec.ts";
import { wellKnownCodec } from "./well-known-codec.ts";

type CodecOf = (desc: DescMessage) => ValueCodec;

/** `codecOf` returns the codec of a message type that is not well known. */
export function anyCodec(registry: Registry, codecOf: CodecOf): ValueCodec {
  const find = (url: unknown): DescMessage | undefined => {
    const desc =
      typeof url === "string" ? registry.getMessage(url.slice(url.lastIndexOf("/") + 1)) : undefined;
    return desc === undefined || isWrapperDesc(desc) || desc.typeName === "google.protobuf.Any"
      ? undefined
      : desc;
  };
  return {
    decode(json, context) {
      if (!isJsonObject(json, context)) throw new DecodeError("must be an object");
      const desc = find(json["@type"]);
      if (desc === undefined) throw new DecodeError("is not a known type").under("@type");
      return anyPack(desc, decodeContent(codecOf, desc, json, context));
    },
    encode(value) {
      const any = value as Any;
      const desc = find(any.typeUrl);
      const message = desc && anyUnpack(any, desc);
      if (desc === undefined || message === undefined) return "null";
      const head = `{"@type":${JSON.stringify(any.typeUrl)}`;
      if (desc.typeName === StructSchema.typeName) {
        return `${head},"value":${JSON.stringify(toJson(StructSchema, message as Struct))}}`;
      }
      const own = wellKnownCodec(desc);
      if (own !== undefined) return `${head},"value":${own.encode(message)}}`;
      const text = codecOf(desc).encode(message);
      return text === "{}" ? `${head}}` : `${head},${text.slice(1)}`;
    },
    fromText: undefined,
  };
}

function decodeContent(
  codecOf: CodecOf,
  desc: DescMessage,
  json: Record<string, unknown>,
  context: DecodeContext,
): Message {
  const { "@type": _type, ...fields } = json;
  if (desc.typeName === StructSchema.typeName) {
    if (!isJsonObject(fields.value, context)) throw new DecodeError("must be an object").under("value");
    return fromJson(StructSchema, plainJson(fields.value, context) as JsonValue);
  }
  const own = wellKnownCodec(desc);
  if (own === undefined) return codecOf(desc).decode(fields, context) as Message;
  return own.decode(fields.value, context) as Message;
}
