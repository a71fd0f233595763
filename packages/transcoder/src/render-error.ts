// The one error envelope, for every 4xx and 5xx.
import { AppError, type FieldError, invalidField } from "@muster/errors";
import { DecodeError } from "./json/decode-error.ts";
import type { RestResponse } from "./rest.ts";

export interface ErrorContext {
  /** Shown unless the error brings its own: a replay shows the id of the request it was first the answer to. */
  readonly requestId: string;
  /** The field that the HTTP body is: clients see their own paths, without it. */
  readonly bodyField?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export function renderError(error: AppError, context: ErrorContext): RestResponse {
  const { bodyField } = context;
  const fields = error.fields.map((field) =>
    bodyField === undefined ? field : withoutPrefix(field, bodyField),
  );
  const headers: Record<string, string> = { ...context.headers, "content-type": "application/json" };
  if (error.retryAfterMs !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
  }
  if (error.replayed) headers["idempotency-replayed"] = "true";
  const body = JSON.stringify({
    code: error.codeName,
    reason: error.reason,
    message: bodyField === undefined ? error.message : withoutLeadingPath(error.message, bodyField),
    fields: fields.map(({ field, message }) => ({ field, message })),
    details: error.details,
    request_id: error.requestId ?? context.requestId,
  });
  return { status: error.row.http, headers, body };
}

/** What an error of decoding is to the client; other errors that are no AppError are defects. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (!(error instanceof DecodeError)) return new AppError("INTERNAL", { cause: error });
  if (error.path === "") return new AppError("REQUEST_MALFORMED", { message: error.message });
  const { message, fields } = invalidField(error.path, error.message);
  return new AppError("REQUEST_MALFORMED", { message, fields });
}

function withoutPrefix({ field, message }: FieldError, bodyField: string): FieldError {
  return { field: withoutLeadingPath(field, bodyField), message: withoutLeadingPath(message, bodyField) };
}

function withoutLeadingPath(text: string, bodyField: string): string {
  if (text.startsWith(`${bodyField}.`)) return text.slice(bodyField.length + 1);
  return text.startsWith(`${bodyField}[`) ? text.slice(bodyField.length) : text;
}
