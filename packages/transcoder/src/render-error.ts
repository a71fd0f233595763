// Renders the error envelope of every 4xx and 5xx.
import { AppError, type FieldError, invalidField, reasonMessage, UnlistedError } from "@muster/errors";
import { DecodeError } from "./json/decode-error.ts";
import { negotiateLanguage } from "./language.ts";
import type { RestResponse } from "./rest.ts";

export interface ErrorContext {
  /** Used unless the error has an id: a replay shows the id of the original request. */
  readonly requestId: string;
  /**
   * The request's header, which selects the language of `message`. Undefined where the header is missing or
   * was not read.
   */
  readonly acceptLanguage: string | undefined;
  /** The field that the HTTP body is bound to: paths in the envelope leave it out. */
  readonly bodyField?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export function renderError(error: AppError, context: ErrorContext): RestResponse {
  const { bodyField } = context;
  const fields = error.fields.map((field) =>
    bodyField === undefined ? field : withoutPrefix(field, bodyField),
  );
  // A reason without a row has no translations.
  const language = error instanceof UnlistedError ? "en" : negotiateLanguage(context.acceptLanguage);
  const headers: Record<string, string> = {
    ...context.headers,
    "content-type": "application/json",
    "content-language": language,
    vary: "accept-language",
  };
  if (error.retryAfterMs !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
  }
  const { size } = error.details;
  if (error.reason === "RANGE_NOT_SATISFIABLE" && size !== undefined)
    headers["content-range"] = `bytes */${size}`;
  if (error.replayed) headers["idempotency-replayed"] = "true";
  const body = JSON.stringify({
    code: error.codeName,
    reason: error.reason,
    message: language === "en" ? englishMessage(error, bodyField) : reasonMessage(error.reason, language),
    fields: fields.map(({ field, message }) => ({ field, message })),
    details: detailsOf(error),
    request_id: error.requestId ?? context.requestId,
  });
  return { status: error.row.http, headers, body };
}

/** A detail that holds a list becomes an array, a detail that holds a number becomes a number. */
function detailsOf({ details, row }: AppError): Record<string, string | number | string[]> {
  const entries = Object.entries(details).map(([name, value]): [string, string | number | string[]] => {
    if (row.lists?.includes(name) === true) return [name, value.split(",").filter((item) => item !== "")];
    return [name, row.numbers?.includes(name) === true ? Number(value) : value];
  });
  return Object.fromEntries(entries);
}

/** Maps an error of decoding to the client's error; other errors that are no AppError are defects. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (!(error instanceof DecodeError)) return new AppError("INTERNAL", { cause: error });
  if (error.path === "") return new AppError(error.reason, { message: error.message });
  const { message, fields } = invalidField(error.path, error.message);
  return new AppError(error.reason, { message, fields });
}

/** Message about the particular error, where the thrown error has a message. */
function englishMessage({ message }: AppError, bodyField: string | undefined): string {
  return bodyField === undefined ? message : withoutLeadingPath(message, bodyField);
}

function withoutPrefix({ field, message }: FieldError, bodyField: string): FieldError {
  return { field: withoutLeadingPath(field, bodyField), message: withoutLeadingPath(message, bodyField) };
}

function withoutLeadingPath(text: string, bodyField: string): string {
  if (text.startsWith(`${bodyField}.`)) return text.slice(bodyField.length + 1);
  return text.startsWith(`${bodyField}[`) ? text.slice(bodyField.length) : text;
}
