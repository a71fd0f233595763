// The one error class that crosses layers and services.
import { Code, type CodeName, type ReasonName, type ReasonRow, reasonTable } from "./reason-table.ts";

export interface FieldError {
  /** Path in snake_case, such as "events[0].name". */
  readonly field: string;
  readonly message: string;
}

export interface AppErrorOptions {
  /** For the caller: says what to do, holds no secret, no SQL, no stack. */
  readonly message?: string;
  readonly fields?: readonly FieldError[];
  /** Extra facts for the caller; at most 16 short strings. */
  readonly details?: Readonly<Record<string, string>>;
  /** How long to wait before trying again. */
  readonly retryAfterMs?: number;
  /** The request that got this error; a replay repeats it. */
  readonly requestId?: string;
  /** The Idempotency-Key's kept answer. */
  readonly replayed?: boolean;
  /** For the log alone. */
  readonly cause?: unknown;
}

/** What a handler throws when it answers with an error. Anything else thrown is a defect (INTERNAL). */
export class AppError extends Error {
  override name = "AppError";
  readonly reason: ReasonName;
  readonly fields: readonly FieldError[];
  readonly details: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;
  /** Set once the error has been given to a caller: what its envelope shows as request_id. */
  readonly requestId: string | undefined;
  /** Kept under the Idempotency-Key of an earlier call: REST says `Idempotency-Replayed: true`. */
  readonly replayed: boolean;

  constructor(reason: ReasonName, options: AppErrorOptions = {}) {
    super(options.message ?? reasonTable[reason].message, { cause: options.cause });
    this.reason = reason;
    this.fields = options.fields ?? [];
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs;
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
