// Converts bytes and metadata of grpc-js. Messages stay bytes inside grpc-js, so that an unreadable message
// is an error of Muster and not of the library.
import { type DescMessage, type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { AssertionError, BODY_BYTES_MAX, PUBLIC_BODY_BYTES_MAX } from "@muster/core";
import { AppError } from "@muster/errors";
import { checkBinaryLimits } from "../binary-limits.ts";
import { METADATA_BYTES_MAX } from "../metadata.ts";
import { isPublic } from "../method-plan.ts";

/** Size of the largest REST body, plus the wrapping of a request that contains such a body. */
const MESSAGE_BYTES_MAX_GRPC = BODY_BYTES_MAX + 256 * 1024;
/** The largest message that gRPC clients receive unless they are configured otherwise. */
const RESPONSE_BYTES_MAX = 4 * 1024 * 1024;
/**
 * Size at which grpc-js cuts a message off without details. Larger than Muster's own limit, so that callers
 * slightly above that limit receive a proper error, and small enough to bound buffering.
 */
export const MESSAGE_BYTES_CUT = 2 * MESSAGE_BYTES_MAX_GRPC;

export const passBytes = (bytes: Buffer): Buffer => bytes;

export function decodeRequest(method: DescMethod, bytes: Buffer): Message {
  const schema = method.input;
  const bytesMax = isPublic(method) ? PUBLIC_BODY_BYTES_MAX : MESSAGE_BYTES_MAX_GRPC;
  if (bytes.byteLength > bytesMax) {
    throw new AppError("TOO_LARGE", { message: `A message is at most ${bytesMax} bytes.` });
  }
  checkBinaryLimits(schema, bytes);
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new AppError("REQUEST_MALFORMED", {
      message: `The message is not a ${schema.typeName}.`,
      cause: error,
    });
  }
}

export function decodeResponse(schema: DescMessage, bytes: Buffer): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw new AppError("INTERNAL", { cause: error });
  }
}

export function encodeRequest(schema: DescMessage, message: Message): Buffer {
  const bytes = encode(schema, message);
  if (bytes.byteLength > MESSAGE_BYTES_MAX_GRPC) {
    throw new AppError("TOO_LARGE", { message: `A message is at most ${MESSAGE_BYTES_MAX_GRPC} bytes.` });
  }
  return bytes;
}

/** Every handler bounds its responses, so a larger response is a defect of the handler. */
export function encodeResponse(schema: DescMessage, message: Message): Buffer {
  const bytes = encode(schema, message);
  if (bytes.byteLength > RESPONSE_BYTES_MAX) {
    throw new AssertionError(`${schema.typeName}: ${bytes.byteLength} bytes exceed ${RESPONSE_BYTES_MAX}`);
  }
  return bytes;
}

function encode(schema: DescMessage, message: Message): Buffer {
  const bytes = toBinary(schema, message);
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

/** Characters that gRPC allows in a metadata value. */
const VALUE_FORM = /^[\x20-\x7e]*$/;

/**
 * A value that gRPC cannot carry is sent as an empty value, which readers refuse: an idempotency key is then
 * rejected like any malformed key instead of being dropped silently.
 */
export function metadataFrom(headers: ReadonlyMap<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of headers) metadata.set(name, VALUE_FORM.test(value) ? value : "");
  return metadata;
}
