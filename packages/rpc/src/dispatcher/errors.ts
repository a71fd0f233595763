// Converts every thrown value into an AppError with the request id and without its cause.
import { isMessage } from "@bufbuild/protobuf";
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import { redact } from "@muster/privacy";
import { copyError } from "../error-copy.ts";
import type { Call } from "./call.ts";
import type { Around } from "./interceptor.ts";

export function errors(deps: { readonly log: Logger }): Around {
  return {
    async unary(call, next) {
      try {
        return await next(call);
      } catch (error) {
        throw toCallerError(deps.log, call, error);
      }
    },
    async *stream(call, next) {
      try {
        yield* next(call);
      } catch (error) {
        throw toCallerError(deps.log, call, error);
      }
    },
  };
}

/** The error for the caller. The cause of a defect is logged under the request id. */
function toCallerError(log: Logger, call: Call, error: unknown): AppError {
  const fields = { method: call.plan.name, request_id: call.requestId };
  if (!(error instanceof AppError)) {
    log.error({ ...fields, request: requestOf(call), err: error }, "handler failed");
    return new AppError("INTERNAL", { requestId: call.requestId });
  }
  if (error.reason === "INTERNAL")
    log.error({ ...fields, request: requestOf(call), err: error }, "handler failed");
  else if (error.cause !== undefined && error.row.http >= 500)
    log.warn({ ...fields, err: error }, "dependency failed");
  return stamped(error, call.requestId);
}

/** The request, as far as a log may show it. Messages of a stream are not kept. */
function requestOf({ method, request }: Call): object | undefined {
  return isMessage(request, method.input) ? redact(method.input, request) : undefined;
}

/** A copy of the error without its cause; carries the id of the failed request unless an id is set. */
export function stamped(error: AppError, requestId: string): AppError {
  if (error.requestId !== undefined && error.cause === undefined) return error;
  return copyError(error, { requestId: error.requestId ?? requestId });
}
