// Converts AppError to google.rpc.Status and back, for calls between processes and for the idempotency
// ledger.
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Any, anyIs, anyPack, anyUnpack, durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "@muster/contracts/google/rpc/error_details_pb";
import { type Status, StatusSchema } from "@muster/contracts/google/rpc/status_pb";
import {
  AppError,
  Code,
  type CodeName,
  type FieldError,
  type ReasonName,
  reasonTable,
  UnlistedError,
} from "@muster/errors";
import { VIOLATIONS_MAX } from "./validation.ts";

/** Marks an ErrorInfo as Muster's: its reason belongs to the closed list. */
const ERROR_DOMAIN = "muster";

/**
 * Limit of the encoded status, before base64. With this limit, trailers including the message stay under the
 * 8 KiB that the strictest gRPC stacks accept (beyond 64 KiB the whole call is lost).
 */
const STATUS_BYTES_MAX = 5 * 1024;
const MESSAGE_CHARS_MAX = 512;
const FIELD_CHARS_MAX = 256;
const DETAILS_MAX = 16;
const DETAIL_KEY_CHARS_MAX = 32;
const DETAIL_CHARS_MAX = 160;

/** A google.rpc detail in the form of Connect. */
export interface ErrorDetail {
  readonly desc: DescMessage;
  readonly value: Record<string, unknown>;
}

/** The error for callers, within the bounds of every transport. */
export interface BoundedError {
  readonly message: string;
  readonly details: readonly ErrorDetail[];
  /** google.rpc.Status, encoded. */
  readonly statusBytes: Uint8Array;
}

/** Drops violations from the end, then details, until the status fits. */
export function boundError(error: AppError): BoundedError {
  const message = clip(error.message, MESSAGE_CHARS_MAX);
  let fields = error.fields.slice(0, VIOLATIONS_MAX);
  let facts = Object.entries(error.details).slice(0, DETAILS_MAX);
  for (;;) {
    const details = errorDetails(error, fields, facts);
    const packed = details.map(({ desc, value }) => anyPack(desc, create(desc, value)));
    const status = create(StatusSchema, { code: error.code, message, details: packed });
    const statusBytes = toBinary(StatusSchema, status);
    const isSmallest = fields.length === 0 && facts.length === 0;
    if (isSmallest || statusBytes.byteLength <= STATUS_BYTES_MAX) return { message, details, statusBytes };
    if (fields.length > 0) fields = fields.slice(0, fields.length / 2);
    else facts = facts.slice(0, facts.length / 2);
  }
}

function errorDetails(
  error: AppError,
  fields: readonly FieldError[],
  facts: readonly (readonly [string, string])[],
): ErrorDetail[] {
  const metadata: Record<string, string> = {};
  for (const [key, value] of facts) metadata[clip(key, DETAIL_KEY_CHARS_MAX)] = clip(value, DETAIL_CHARS_MAX);
  const details: ErrorDetail[] = [
    { desc: ErrorInfoSchema, value: { reason: error.reason, domain: ERROR_DOMAIN, metadata } },
  ];
  if (fields.length > 0) {
    const fieldViolations = fields.map((field) => ({
      field: clip(field.field, FIELD_CHARS_MAX),
      description: clip(field.message, FIELD_CHARS_MAX),
    }));
    details.push({ desc: BadRequestSchema, value: { fieldViolations } });
  }
  if (error.retryAfterMs !== undefined) {
    details.push({ desc: RetryInfoSchema, value: { retryDelay: durationFromMs(error.retryAfterMs) } });
  }
  if (error.requestId !== undefined) {
    details.push({ desc: RequestInfoSchema, value: { requestId: error.requestId } });
  }
  return details;
}

/** Cuts the text without splitting a surrogate pair, because encodeURI would throw on half a pair. */
function clip(text: string, charsMax: number): string {
  return (text.length > charsMax ? `${text.slice(0, charsMax - 1)}…` : text).toWellFormed();
}

/** Information from the transport besides the details. */
export interface Received {
  readonly cause?: unknown;
  readonly replayed?: boolean;
}

/** The error encoded in a status, or undefined when its details are not Muster's. */
export function errorFromStatusBytes(bytes: Uint8Array, received: Received = {}): AppError | undefined {
  let status: Status;
  try {
    status = fromBinary(StatusSchema, bytes);
  } catch {
    return undefined;
  }
  const find: FindDetail = (desc) => {
    const detail = status.details.find((any) => anyIs(any, desc));
    return detail === undefined ? undefined : unpack(detail, desc);
  };
  return errorFromDetails(status, find, received);
}

function unpack<Desc extends DescMessage>(detail: Any, desc: Desc): MessageShape<Desc> | undefined {
  try {
    return anyUnpack(detail, desc);
  } catch {
    return undefined;
  }
}

export type FindDetail = <Desc extends DescMessage>(desc: Desc) => MessageShape<Desc> | undefined;

/** Builds an AppError from google.rpc details of any transport. */
export function errorFromDetails(
  { code, message }: { readonly code: number; readonly message: string },
  find: FindDetail,
  received: Received,
): AppError | undefined {
  const info = find(ErrorInfoSchema);
  if (info === undefined || info.domain !== ERROR_DOMAIN) return undefined;
  const retryDelay = find(RetryInfoSchema)?.retryDelay;
  const requestId = find(RequestInfoSchema)?.requestId;
  const options = {
    message,
    fields: (find(BadRequestSchema)?.fieldViolations ?? []).map((violation) => ({
      field: violation.field,
      message: violation.description,
    })),
    details: { ...info.metadata },
    ...(retryDelay === undefined ? {} : { retryAfterMs: durationMs(retryDelay) }),
    ...(requestId === undefined || requestId === "" ? {} : { requestId }),
    ...received,
  };
  return isReason(info.reason)
    ? new AppError(info.reason, options)
    : new UnlistedError(info.reason, codeNameOf(code), options);
}

const codeNames = new Map<number, CodeName>(
  Object.entries(Code).map(([name, code]) => [code, name as CodeName]),
);

function codeNameOf(code: number): CodeName {
  return codeNames.get(code) ?? "unknown";
}

function isReason(text: string): text is ReasonName {
  return Object.hasOwn(reasonTable, text);
}

/** The error for a bare status code of a peer or library without Muster reasons. */
export function errorFromCode(code: number, message: string, cause: unknown): AppError {
  const reason = reasonOfCode(code, message);
  if (reason !== undefined) return new AppError(reason, { cause });
  const name = codeNameOf(code);
  return new UnlistedError("UNSPECIFIED", name, { message: `The called service returned ${name}.`, cause });
}

/** Undefined for codes that several reasons have. */
function reasonOfCode(code: number, message: string): ReasonName | undefined {
  switch (code) {
    case 1:
      return "CANCELED";
    case 3:
      return "REQUEST_MALFORMED";
    case 4:
      return "DEADLINE_EXCEEDED";
    case 7:
      return "PERMISSION_DENIED";
    case 8:
      return /\blarger than\b|\btoo large\b/i.test(message) ? "TOO_LARGE" : "OVERLOADED";
    case 12:
      return "UNIMPLEMENTED";
    case 13:
      // A peer that crashed during a call appears as a reset stream.
      return /RST_STREAM|ECONNRESET|EPIPE/.test(message) ? "UNAVAILABLE" : "INTERNAL";
    case 14:
      return "UNAVAILABLE";
    case 16:
      return "UNAUTHENTICATED";
    default:
      return undefined;
  }
}
