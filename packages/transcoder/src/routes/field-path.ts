// Resolves a field path such as "a.b" against a message type once, then sets it in messages.
import { create, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { DecodeError } from "../json/decode-error.ts";
import type { FieldCodec } from "../json/field-codec.ts";
import type { MessageCodecs } from "../json/message-codec.ts";
import type { LocalMessage } from "../json/value-codec.ts";

/** A field set by a path segment or a query parameter. */
export interface FieldPath {
  /** In snake_case, with dots. */
  readonly name: string;
  /** The fields that lead to the last one. */
  readonly parents: readonly DescField[];
  readonly codec: FieldCodec;
}

/** Resolves a path by snake_case or camelCase names; undefined for an unknown field. */
export function resolveFieldPath(
  codecs: MessageCodecs,
  desc: DescMessage,
  names: readonly string[],
): FieldPath | undefined {
  const parents: DescField[] = [];
  let message = desc;
  for (const [index, name] of names.entries()) {
    const codec = codecs.message(message).reader(name);
    if (codec === undefined) return undefined;
    if (index === names.length - 1) {
      const path = [...parents, codec.field].map((field) => field.name).join(".");
      return { name: path, parents, codec };
    }
    if (codec.field.fieldKind !== "message" || isWrapperDesc(codec.field.message)) return undefined;
    parents.push(codec.field);
    message = codec.field.message;
  }
  return undefined;
}

/** The value at the path; undefined where the field or a parent message is unset. */
export function getAt(message: LocalMessage, path: FieldPath): unknown {
  let at: unknown = message;
  for (const parent of path.parents) {
    at = get(at as LocalMessage, parent);
    if (at === undefined) return undefined;
  }
  return get(at as LocalMessage, path.codec.field);
}

/** Sets the value and creates missing parent messages. */
export function setAt(message: LocalMessage, path: FieldPath, value: unknown): void {
  let at = message;
  for (const parent of path.parents) {
    let next = get(at, parent) as LocalMessage | undefined;
    if (next === undefined) {
      next = create(parent.message as DescMessage) as unknown as LocalMessage;
      set(at, parent, next);
    }
    at = next;
  }
  set(at, path.codec.field, value);
}

function get(message: LocalMessage, field: DescField): unknown {
  if (field.oneof === undefined) {
    return Object.hasOwn(message, field.localName) ? message[field.localName] : undefined;
  }
  const chosen = message[field.oneof.localName] as { case?: string; value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

function set(message: LocalMessage, field: DescField, value: unknown): void {
  if (field.oneof === undefined) {
    message[field.localName] = value;
    return;
  }
  const chosen = message[field.oneof.localName] as { case?: string };
  if (chosen.case !== undefined && chosen.case !== field.localName) {
    const other = field.oneof.fields.find((sibling) => sibling.localName === chosen.case);
    throw new DecodeError(`cannot be given together with ${other?.name}`);
  }
  message[field.oneof.localName] = { case: field.localName, value };
}
