// Reads the headers and the message of a Connect or gRPC-Web request. Every refusal is an AppError.
import { type DescMessage, type DescMethod, fromBinary, getOption, type Message } from "@bufbuild/protobuf";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc-web";
import { rest } from "@muster/contracts/muster/options/v1/options_pb";
import { BODY_BYTES_MAX, PUBLIC_BODY_BYTES_MAX } from "@muster/core";
import { AppError } from "@muster/errors";
import { readProtoJson, toAppError } from "@muster/transcoder";
import { checkBinaryLimits } from "../binary-limits.ts";
import { isPublic } from "../method-plan.ts";
import type { WireFormat } from "./wire-format.ts";

/** Reads a header by its name in lower case. */
export type HeaderReader = (name: string) => string | undefined;

/** A byte of flags and four bytes of length before each message of a stream. */
export const ENVELOPE_BYTES = 5;
const COMPRESSION_HEADERS = {
  unary: "content-encoding",
  stream: "connect-content-encoding",
  "grpc-web": "grpc-encoding",
} as const;

/** Throws for compression, which the HTTP port's RPC paths do not take. */
export function refuseCompression({ protocol }: WireFormat, header: HeaderReader): void {
  const encoding = header(COMPRESSION_HEADERS[protocol]) ?? "identity";
  if (encoding === "identity" || encoding === "") return;
  throw new AppError("UNIMPLEMENTED", { message: "Messages are taken without compression (identity) here." });
}

/** The caller's timeout in milliseconds, or undefined. */
export function timeoutOf({ protocol }: WireFormat, header: HeaderReader): number | undefined {
  const isGrpc = protocol === "grpc-web";
  const text = header(isGrpc ? "grpc-timeout" : "connect-timeout-ms") ?? null;
  const parse = isGrpc ? parseGrpcTimeout : parseConnectTimeout;
  const { timeoutMs, error } = parse(text, Number.MAX_SAFE_INTEGER);
  if (error === undefined) return timeoutMs;
  throw new AppError("REQUEST_MALFORMED", { message: "The timeout is not a number of the protocol's form." });
}

/** The message of the body. A stream of requests needs HTTP/2, so every body holds a single message. */
export function readMessage(method: DescMethod, format: WireFormat, body: Uint8Array): Message {
  const bytesMax = isPublic(method) ? PUBLIC_BODY_BYTES_MAX : BODY_BYTES_MAX;
  const bytes = format.protocol === "unary" ? body : unwrap(body, bytesMax);
  if (bytes.byteLength > bytesMax) throw tooLarge(bytesMax);
  return format.codec === "proto" ? readBinary(method.input, bytes) : readJson(method, bytes);
}

function unwrap(body: Uint8Array, bytesMax: number): Uint8Array {
  if (body.byteLength === 0) throw new AppError("UNIMPLEMENTED", { message: "The call carries no message." });
  if (body.byteLength < ENVELOPE_BYTES) throw cutOff();
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const length = view.getUint32(1);
  if (view.getUint8(0) !== 0) {
    throw new AppError("REQUEST_MALFORMED", { message: "The message has flags that mean nothing here." });
  }
  if (length > bytesMax) throw tooLarge(bytesMax);
  if (body.byteLength < ENVELOPE_BYTES + length) throw cutOff();
  if (body.byteLength > ENVELOPE_BYTES + length) {
    throw new AppError("UNIMPLEMENTED", { message: "The call carries more than one message." });
  }
  return body.subarray(ENVELOPE_BYTES);
}

function readBinary(desc: DescMessage, bytes: Uint8Array): Message {
  checkBinaryLimits(desc, bytes);
  try {
    return fromBinary(desc, bytes);
  } catch {
    throw new AppError("REQUEST_MALFORMED", { message: `The message is not a ${desc.typeName}.` });
  }
}

/** Unknown fields pass, so that a client may be newer than the server. */
/** Unknown fields are refused as over REST, although Connect's own readers skip them. */
function readJson(method: DescMethod, bytes: Uint8Array): Message {
  const { ignoreUnknown } = getOption(method, rest);
  try {
    return readProtoJson(method.input, bytes, { ignoreUnknown });
  } catch (error) {
    throw toAppError(error);
  }
}

function cutOff(): AppError {
  return new AppError("REQUEST_MALFORMED", { message: "The body ends within a message." });
}

function tooLarge(bytesMax: number): AppError {
  return new AppError("TOO_LARGE", { message: `A message is at most ${bytesMax} bytes.` });
}
