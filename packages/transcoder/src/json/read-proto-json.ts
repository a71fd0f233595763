// Reads ProtoJSON, the form of Connect and gRPC-Web clients, with the strictness of REST, so that all
// mounts accept and refuse the same values.
import { createRegistry, type DescMessage, type Message } from "@bufbuild/protobuf";
import { DecodeError } from "./decode-error.ts";
import { MessageCodecs } from "./message-codec.ts";
import { parseJson } from "./parse-json.ts";

const codecs = new MessageCodecs(createRegistry(), "proto");
const utf8 = new TextDecoder("utf-8", { fatal: true });

export interface ReadOptions {
  /** Skips unknown fields instead of refusing the message. */
  readonly ignoreUnknown: boolean;
}

/** Throws DecodeError, with the path of the field in snake_case. */
export function readProtoJson(desc: DescMessage, bytes: Uint8Array, { ignoreUnknown }: ReadOptions): Message {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new DecodeError("The body is not valid UTF-8.");
  }
  const { value, context } = parseJson(text, { ignoreUnknown, keepNumbers: false });
  try {
    return codecs.message(desc).decode(value, context);
  } catch (error) {
    if (error instanceof DecodeError && error.path === "")
      throw new DecodeError(`The body ${error.message}.`);
    throw error;
  }
}
