// AppErrors are immutable; this makes the same one with something added for the caller.
import { AppError, type AppErrorOptions, UnlistedError } from "@muster/errors";

/** The same error without its cause, which belongs to the log of where it happened. */
export function copyError(error: AppError, changes: AppErrorOptions = {}): AppError {
  const options = {
    message: error.message,
    fields: error.fields,
    details: error.details,
    replayed: error.replayed,
    ...(error.requestId === undefined ? {} : { requestId: error.requestId }),
    ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    ...changes,
  };
  return error instanceof UnlistedError
    ? new UnlistedError(error.reason, error.codeName, options)
    : new AppError(error.reason, options);
}
