// Builds responses to bytes that are not HTTP and to slow clients, in the error envelope.
import { AppError } from "@muster/errors";
import { renderError } from "@muster/transcoder";

/** An error and its HTTP status, which may differ from the status of the reason. */
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

/** The error for the code of a node:http "clientError" event. */
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
  // The request is unreliable as a whole, including its headers.
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
