// Answers to bytes that are no HTTP request, and to clients that are too slow, in the error envelope.
import { AppError } from "@muster/errors";
import { renderError } from "@muster/transcoder";

/** An error and the status that HTTP has for it, where that is not the reason's own. */
export interface ClientError {
  readonly error: AppError;
  readonly status: number;
}

const REQUEST_TIMEOUT_STATUS = 408;
const REASON_PHRASES: Readonly<Record<number, string>> = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  413: "Content Too Large",
};

/** What node:http reports in "clientError" events, by its code. */
export function clientErrorOf(code: string | undefined): ClientError {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return withStatus(new AppError("TOO_LARGE", { message: "The headers are too large." }));
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return {
        error: new AppError("DEADLINE_EXCEEDED", { message: "The request took too long to arrive." }),
        status: REQUEST_TIMEOUT_STATUS,
      };
    default:
      return withStatus(
        new AppError("REQUEST_MALFORMED", { message: "This is not a well-formed HTTP request." }),
      );
  }
}

function withStatus(error: AppError): ClientError {
  return { error, status: error.row.http };
}

/** A whole HTTP/1.1 response, after which the connection ends. */
export function rawResponse({ error, status }: ClientError, requestId: string): string {
  // Nothing of the request can be relied on, its headers neither.
  const { headers, body: envelope } = renderError(error, { requestId, acceptLanguage: undefined });
  const body = String(envelope);
  return [
    `HTTP/1.1 ${status} ${REASON_PHRASES[status] ?? "Error"}`,
    "connection: close",
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(body)}`,
    "cache-control: no-store",
    "x-content-type-options: nosniff",
    `x-request-id: ${requestId}`,
    "",
    body,
  ].join("\r\n");
}
