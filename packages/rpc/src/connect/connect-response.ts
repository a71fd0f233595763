// Renders responses and errors in the forms of Connect and gRPC-Web.
import type { DescMessage, Message } from "@bufbuild/protobuf";
import { toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus, trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { AppError } from "@muster/errors";
import { toConnectError } from "./connect-errors.ts";
import { contentTypeOf, type WireFormat } from "./wire-format.ts";

export interface ConnectResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** A whole body, or the frames of a stream. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  /** The error in the response, for the log; unknown for a stream. */
  readonly error?: AppError | undefined;
}

/** HTTP status and headers of a refusal that no protocol describes, such as 405. */
export interface RefusalStatus {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const text = new TextEncoder();

function encodeMessage({ codec }: WireFormat, desc: DescMessage, message: Message): Uint8Array {
  return codec === "proto" ? toBinary(desc, message) : text.encode(toJsonString(desc, message));
}

/** A message of a stream. */
export function messageFrame(format: WireFormat, desc: DescMessage, message: Message): Uint8Array {
  return encodeEnvelope(0, encodeMessage(format, desc, message));
}

/** The end of a stream: success, or the error. */
export function endFrame(format: WireFormat, error: AppError | undefined): Uint8Array {
  const metadata = new Headers();
  const connectError = error === undefined ? undefined : errorIn(format, error);
  if (format.protocol === "stream") {
    const end = endStreamToJson(metadata, connectError, {});
    return encodeEnvelope(endStreamFlag, text.encode(JSON.stringify(end)));
  }
  setTrailerStatus(metadata, connectError);
  return encodeEnvelope(trailerFlag, trailerSerialize(metadata));
}

/**
 * In Connect, TOO_LARGE is `invalid_argument` (400). Its own code, `resource_exhausted`, would be 429 there, and
 * a client that retries 429 would send the same message for ever. gRPC-Web has no such status.
 */
function errorIn(format: WireFormat | undefined, error: AppError): ConnectError {
  const isTooLarge = error.reason === "TOO_LARGE" && format?.protocol !== "grpc-web";
  return toConnectError(error, isTooLarge ? Code.InvalidArgument : error.code);
}

/** The response to a unary call. */
export function renderMessage(
  format: WireFormat,
  desc: DescMessage,
  message: Message,
  headers: Readonly<Record<string, string>>,
): ConnectResponse {
  const body =
    format.protocol === "unary"
      ? encodeMessage(format, desc, message)
      : Buffer.concat([messageFrame(format, desc, message), endFrame(format, undefined)]);
  return { status: 200, headers: { ...headers, "content-type": contentTypeOf(format) }, body };
}

/**
 * A refusal in the protocol of the request. Only Connect's unary form has a place for another HTTP status, so
 * a request whose form is unknown receives that form too.
 */
export function renderConnectError(
  format: WireFormat | undefined,
  error: AppError,
  refusal?: RefusalStatus,
): ConnectResponse & { readonly body: Uint8Array } {
  if (format !== undefined && format.protocol !== "unary") {
    const headers = { "content-type": contentTypeOf(format) };
    return { status: 200, headers, body: endFrame(format, error) };
  }
  const connectError = errorIn(format, error);
  return {
    status: refusal?.status ?? codeToHttpStatus(connectError.code),
    headers: {
      ...refusal?.headers,
      ...Object.fromEntries(connectError.metadata),
      "content-type": "application/json",
    },
    body: errorToJsonBytes(connectError, {}),
  };
}
