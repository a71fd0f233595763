// Declares the error class that crosses layers and services.
import { Code, type CodeName, httpOfCode } from "./codes.ts";
import { type ReasonName, type ReasonRow, reasonTable } from "./reason-table.ts";

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
  /** How long to wait before trying again. Default 1 s for the statuses 429 and 503. */
  readonly retryAfterMs?: number | undefined;
  /** Id of the request that failed; a replay repeats it. */
  readonly requestId?: string;
  /** The error is the saved response of an Idempotency-Key. */
  readonly replayed?: boolean;
  /** Only for the log. */
  readonly cause?: unknown;
}

const RETRY_AFTER_MS_DEFAULT = 1000;

/** A caller that is refused for a time always learns how long to wait. */
function waitOf(http: number | undefined): number | undefined {
  return http === 429 || http === 503 ? RETRY_AFTER_MS_DEFAULT : undefined;
}

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
    this.retryAfterMs = options.retryAfterMs ?? waitOf(reasonTable[reason]?.http);
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
    return Code[this.codeName];
  }
}

/**
 * An error of another process whose reason has no row here: the reason of a newer service during a rolling
 * upgrade, or none. Keeps the code of the other process.
 */
export class UnlistedError extends AppError {
  readonly #row: ReasonRow;

  constructor(reason: string, code: CodeName, options: AppErrorOptions & { readonly message: string }) {
    // The reason may be any text here. Code that compares reasons treats the error like any other reason.
    super(reason as ReasonName, { retryAfterMs: waitOf(httpOfCode[code]), ...options });
    this.#row = { code, http: httpOfCode[code], message: options.message };
  }

  override get row(): ReasonRow {
    return this.#row;
  }
}

/** FIELD_INVALID for a single field. */
export function invalidField(field: string, message: string): AppError {
  return new AppError("FIELD_INVALID", { message: `${field}: ${message}`, fields: [{ field, message }] });
}
