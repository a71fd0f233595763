// Declares codecs for a value of a field, a list item or a map value: between JSON, text and the form of
// protobuf-es.
import type { DecodeContext } from "./parse-json.ts";

/** A message in the form of protobuf-es: fields are properties, oneofs `{case, value}`. */
export type LocalMessage = Record<string, unknown>;

export interface ValueCodec {
  /** From JSON; called with null only for items that may be null. Throws DecodeError. */
  decode(json: unknown, context: DecodeContext): unknown;
  /** To JSON text. */
  encode(value: unknown): string;
  /** From a query parameter or a path segment; undefined where the type has no text form. */
  readonly fromText: ((text: string) => unknown) | undefined;
  /** As an item of a list or map, JSON null is a value of this type. */
  readonly takesNull?: boolean;
}
