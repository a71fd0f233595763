// Whatever is thrown leaves as an AppError that carries the request id and nothing of its cause.
import { isMessage } from "@bufbuild/protobuf";
import { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import { redact } from "@muster/privacy";
import type { Call } from "../call.ts";
import { copyError } from "../error-copy.ts";
import type { Around } from "./interceptor.ts";

export function errors(deps: { readonly log: Logger }): Around {
  return {
    async unary(call, next) {
      try {
        return await next(call);
      } catch (error) {
        throw answerError(deps.log, call, error);
      }
    },
    async *stream(call, next) {
      try {
        yield* next(call);
      } catch (error) {
        throw answerError(deps.log, call, error);
      }
    },
  };
}

/** The error as the caller may see it. A defect's cause is logged under the request id. */
function answerError(log: Logger, call: Call, error: unknown): AppError {
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

/** What the handler was asked, as far as a log may show it. A stream's messages are not kept. */
function requestOf({ method, request }: Call): object | undefined {
  return isMessage(request, method.input) ? redact(method.input, request) : undefined;
}

/** The same error with the id of the request that it answers, unless it has one, and without its cause. */
export function stamped(error: AppError, requestId: string): AppError {
  if (error.requestId !== undefined && error.cause === undefined) return error;
  return copyError(error, { requestId: error.requestId ?? requestId });
}
