// Declares the error class that crosses layers and services.
import { Code, type CodeName, type ReasonName, type ReasonRow, reasonTable } from "./reason-table.ts";

export interface FieldError {
  /** Path in snake_case, such as "events[0].name". */
  readonly field: string;
  readonly message: string;
}

export interface AppErrorOptions {
  /** Message for the caller: states what to do; contains no secret, no SQL, no stack. */
  readonly message?: string;
  readonly fields?: readonly FieldError[];
  /** Extra facts for the caller; at most 16 short strings. */
  readonly details?: Readonly<Record<string, string>>;
  /** How long to wait before trying again; a second where the reason is temporary (503 and 429). */
  readonly retryAfterMs?: number;
  /** Id of the request that failed; a replay repeats it. */
  readonly requestId?: string;
  /** The error is the saved response of an Idempotency-Key. */
  readonly replayed?: boolean;
  /** Only for the log. */
  readonly cause?: unknown;
}

/** Delay of a 503 or 429 whose thrower sets no delay, so that every such error has a Retry-After. */
const RETRY_AFTER_MS_DEFAULT = 1_000;

/** Thrown by handlers to respond with an error. Any other thrown value is a defect (INTERNAL). */
export class AppError extends Error {
  override name = "AppError";
  readonly reason: ReasonName;
  readonly fields: readonly FieldError[];
  readonly details: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
  /** Set once the error has been sent to a caller: the request_id of the envelope. */
  readonly requestId: string | undefined;
  /**
   * The error was saved under the Idempotency-Key of an earlier call: REST adds `Idempotency-Replayed: true`.
   */
  readonly replayed: boolean;

  constructor(reason: ReasonName, options: AppErrorOptions = {}) {
    super(options.message ?? reasonTable[reason].message, { cause: options.cause });
    this.reason = reason;
    this.fields = options.fields ?? [];
    this.details = options.details ?? {};
    const { http } = reasonTable[reason];
    const isTemporary = http === 503 || http === 429;
    this.retryAfterMs = options.retryAfterMs ?? (isTemporary ? RETRY_AFTER_MS_DEFAULT : undefined);
    this.requestId = options.requestId;
    this.replayed = options.replayed ?? false;
  }

  get row(): ReasonRow {
    return reasonTable[this.reason];
  }

  get codeName(): CodeName {
    return this.row.code;
  }

  /** gRPC status code. */
  get code(): number {
    return Code[this.row.code];
  }
}

/** FIELD_INVALID for a single field. */
export function invalidField(field: string, message: string): AppError {
  return new AppError("FIELD_INVALID", { message: `${field}: ${message}`, fields: [{ field, message }] });
}
