// Encodes and decodes whole messages. Each type is compiled once from its descriptor.
import {
  create,
  createRegistry,
  type DescField,
  type DescMessage,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import { JSON_DEPTH_MAX } from "@muster/core";
import { anyCodec } from "./any-codec.ts";
import { DecodeError } from "./decode-error.ts";
import { compileField, type FieldCodec } from "./field-codec.ts";
import { fieldOptions, filledByTranscoder, protoJsonOptions } from "./field-options.ts";
import { type DecodeContext, isJsonObject, tooDeep } from "./parse-json.ts";
import type { LocalMessage, ValueCodec } from "./value-codec.ts";
import { wellKnownCodec } from "./well-known-codec.ts";

interface KeyReader {
  readonly codec: FieldCodec;
  /** The field's preferred spelling, when the key is the other one. */
  readonly canonical: string | undefined;
}

interface FieldWriter {
  readonly prefix: string;
  readonly codec: FieldCodec;
  /** The oneof, which shows only the member that is set. */
  readonly oneof: string | undefined;
  readonly omitEmpty: boolean;
}

interface CompiledFields {
  readonly readers: ReadonlyMap<string, KeyReader>;
  readonly writers: readonly FieldWriter[];
}

/** The JSON form of a message type. Created by {@link MessageCodecs}. */
export class MessageCodec implements ValueCodec {
  readonly fromText = undefined;
  readonly desc: DescMessage;
  #compiled: CompiledFields | undefined;
  readonly #codecs: MessageCodecs;

  constructor(desc: DescMessage, codecs: MessageCodecs) {
    this.desc = desc;
    this.#codecs = codecs;
    this.decode = this.decode.bind(this);
    this.encode = this.encode.bind(this);
  }

  decode(json: unknown, context: DecodeContext): Message {
    const message = create(this.desc);
    this.decodeInto(message as unknown as LocalMessage, json, context);
    return message;
  }

  /** Fills a new message. `skip`: keys that other code reads. */
  decodeInto(message: LocalMessage, json: unknown, context: DecodeContext, skip?: ReadonlySet<string>): void {
    if (!isJsonObject(json, context)) throw new DecodeError("must be an object");
    if (++context.depth > JSON_DEPTH_MAX) throw tooDeep();
    const { readers } = this.#fields();
    let name = "";
    try {
      for (const key in json) {
        name = key;
        if (skip?.has(key)) continue;
        const reader = readers.get(key);
        if (reader === undefined) {
          if (context.ignoreUnknown) continue;
          throw new DecodeError("is not a known field");
        }
        if (reader.canonical !== undefined) {
          name = reader.canonical;
          if (Object.hasOwn(json, name)) throw new DecodeError(`is given twice, as ${name} and ${key}`);
        }
        reader.codec.read(message, json[key], context);
      }
    } catch (error) {
      throw error instanceof DecodeError ? error.under(name) : error;
    }
    context.depth--;
  }

  /** JSON text with every field of the type, except the members of a oneof that are not set. */
  encode(value: unknown): string {
    return this.encodeFields(value as LocalMessage, () => true);
  }

  /** JSON text like that of {@link encode}, with only the fields whose names are `shown`, and those that are left out when empty. */
  encodeFields(message: LocalMessage, shown: (name: string) => boolean): string {
    const { writers } = this.#fields();
    let text = "{";
    for (const { prefix, codec, oneof, omitEmpty } of writers) {
      if (oneof !== undefined && !isChosen(message, oneof, codec.field)) continue;
      if (omitEmpty && (message[codec.field.localName] as readonly unknown[]).length === 0) continue;
      if (!omitEmpty && !shown(codec.field.name)) continue;
      text += `${text === "{" ? "" : ","}${prefix}${codec.write(message)}`;
    }
    return `${text}}`;
  }

  /** The field's codec by snake_case or camelCase name; none for fields that clients may not set. */
  reader(key: string): FieldCodec | undefined {
    return this.#fields().readers.get(key)?.codec;
  }

  #fields(): CompiledFields {
    if (this.#compiled !== undefined) return this.#compiled;
    const readers = new Map<string, KeyReader>();
    const writers: FieldWriter[] = [];
    const { form } = this.#codecs;
    const closed = form === "rest" ? filledByTranscoder(this.desc.fields) : new Set<string>();
    const open: { readonly codec: FieldCodec; readonly canonical: string }[] = [];
    for (const field of this.desc.fields) {
      const canonical = form === "rest" ? restNameOf(field) : field.name;
      const options = form === "rest" ? fieldOptions(field) : protoJsonOptions(field);
      const codec = compileField(field, options, (of) => this.#codecs.value(of.message as DescMessage));
      writers.push({
        prefix: `${JSON.stringify(canonical)}:`,
        codec,
        oneof: field.oneof?.localName,
        omitEmpty: options.omitEmpty,
      });
      if (closed.has(field.name)) continue;
      readers.set(canonical, { codec, canonical: undefined });
      open.push({ codec, canonical });
    }
    for (const { codec, canonical } of open) {
      for (const key of [codec.field.name, codec.field.jsonName])
        if (!readers.has(key)) readers.set(key, { codec, canonical });
    }
    this.#compiled = { readers, writers };
    return this.#compiled;
  }
}

/** snake_case, unless the proto sets a JSON name that is not derived from the field's name. */
function restNameOf({ name, jsonName }: DescField): string {
  return jsonName === protoCamelCase(name) ? name : jsonName;
}

function isChosen(message: LocalMessage, oneof: string, { localName }: DescField): boolean {
  return (message[oneof] as { readonly case?: string }).case === localName;
}

/** REST applies the options of muster.options.v1; ProtoJSON is the form of generated clients. */
export type JsonForm = "rest" | "proto";

/** Codecs by type; `registry` holds the types that a google.protobuf.Any may carry. */
export class MessageCodecs {
  readonly form: JsonForm;
  readonly #messages = new Map<DescMessage, MessageCodec>();
  readonly #any: ValueCodec;

  constructor(registry: Registry = createRegistry(), form: JsonForm = "rest") {
    this.form = form;
    this.#any = anyCodec(registry, (desc) => this.message(desc));
  }

  message(desc: DescMessage): MessageCodec {
    let codec = this.#messages.get(desc);
    if (codec === undefined) {
      codec = new MessageCodec(desc, this);
      this.#messages.set(desc, codec);
    }
    return codec;
  }

  /** The codec of a field's message type, including well-known types. */
  value(desc: DescMessage): ValueCodec {
    if (desc.typeName === "google.protobuf.Any") return this.#any;
    return wellKnownCodec(desc) ?? this.message(desc);
  }

  /** Whether a field of the type, at any depth, keeps its JSON as text. */
  hasRawJson(desc: DescMessage, seen: Set<DescMessage> = new Set()): boolean {
    if (seen.has(desc)) return false;
    seen.add(desc);
    return desc.fields.some(
      (field) =>
        fieldOptions(field).rawJson || (field.message !== undefined && this.hasRawJson(field.message, seen)),
    );
  }
}
