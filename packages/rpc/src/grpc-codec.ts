// Bytes and metadata between grpc-js and the rest: messages stay bytes inside grpc-js, so that a
// message which cannot be read is our error and not the library's.
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { BODY_BYTES_MAX } from "@muster/core";
import { AppError } from "@muster/errors";
import { METADATA_BYTES_MAX } from "./metadata.ts";

/** A body as large as REST takes, and the wrapping that an answer of such bodies adds. */
const MESSAGE_BYTES_MAX_GRPC = BODY_BYTES_MAX + 256 * 1024;
/**
 * Where grpc-js cuts a message off by itself, without details. Above our own limit, so that callers
 * somewhat over it are told properly, and low enough to bound what is buffered.
 */
export const MESSAGE_BYTES_CUT = 2 * MESSAGE_BYTES_MAX_GRPC;

export const passBytes = (bytes: Buffer): Buffer => bytes;

export function decodeRequest(schema: DescMessage, bytes: Buffer): Message {
  if (bytes.byteLength > MESSAGE_BYTES_MAX_GRPC) {
    throw new AppError("TOO_LARGE", { message: `A message is at most ${MESSAGE_BYTES_MAX_GRPC} bytes.` });
  }
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new AppError("REQUEST_MALFORMED", {
      message: `The message is not a ${schema.typeName}.`,
      cause: error,
    });
  }
}

export function decodeAnswer(schema: DescMessage, bytes: Buffer): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new AppError("INTERNAL", { cause: error });
  }
}

export function encode(schema: DescMessage, message: Message): Buffer {
  const bytes = toBinary(schema, message);
  if (bytes.byteLength > MESSAGE_BYTES_MAX_GRPC) {
    throw new AppError("TOO_LARGE", { message: `A message is at most ${MESSAGE_BYTES_MAX_GRPC} bytes.` });
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Text metadata by lower-case name. */
export function headersFrom(metadata: Metadata): Map<string, string> {
  const headers = new Map<string, string>();
  for (const [name, value] of Object.entries(metadata.getMap())) {
    if (typeof value === "string") headers.set(name, value);
  }
  return headers;
}

/** Throws TOO_LARGE for metadata beyond {@link METADATA_BYTES_MAX}. */
export function refuseLargeMetadata(metadata: Metadata): void {
  let bytes = 0;
  for (const [name, value] of Object.entries(metadata.getMap())) bytes += name.length + value.length;
  if (bytes > METADATA_BYTES_MAX) {
    throw new AppError("TOO_LARGE", { message: `Request metadata is at most ${METADATA_BYTES_MAX} bytes.` });
  }
}

/** What gRPC carries in a metadata value. */
const VALUE_FORM = /^[\x20-\x7e]*$/;

/**
 * A value that gRPC cannot carry travels as an empty one, which no reader takes for a value: an
 * idempotency key is then refused like any malformed one, not silently dropped.
 */
export function metadataFrom(headers: ReadonlyMap<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of headers) metadata.set(name, VALUE_FORM.test(value) ? value : "");
  return metadata;
}
