// Converts every thrown value into an AppError with the request id and without its cause.
import { isMessage } from "@bufbuild/protobuf";
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import { kindOfError, type Logger, OutageLog } from "@muster/log";
import { redact } from "@muster/privacy";
import { copyError } from "../error-copy.ts";
import type { Call } from "./call.ts";
import type { Around } from "./interceptor.ts";

export function errors({ log, clock }: { readonly log: Logger; readonly clock: Clock }): Around {
  const failures = new CallFailures(log, clock);
  return {
    async unary(call, next) {
      try {
        const response = await next(call);
        failures.checkEnds();
        return response;
      } catch (error) {
        throw failures.toCallerError(call, error);
      }
    },
    async *stream(call, next) {
      try {
        yield* next(call);
        failures.checkEnds();
      } catch (error) {
        throw failures.toCallerError(call, error);
      }
    },
  };
}

/** Defects of a kind that are logged with their request: different requests help to find the cause. */
const DEFECTS_WHOLE = 10;

/** Logs defects and failing dependencies, each kind once for each outage: every call has a line of its own anyway. */
class CallFailures {
  readonly #defects: OutageLog;
  readonly #dependencies: OutageLog;

  constructor(log: Logger, clock: Clock) {
    const defect = {
      failed: "handler failed",
      ended: "the handler no longer fails",
      level: "error",
      wholeLines: DEFECTS_WHOLE,
    } as const;
    this.#defects = new OutageLog(log, defect, clock);
    const dependency = {
      failed: "dependency failed",
      ended: "the dependency works again",
      level: "warn",
    } as const;
    this.#dependencies = new OutageLog(log, dependency, clock);
  }

  checkEnds(): void {
    this.#defects.checkEnds();
    this.#dependencies.checkEnds();
  }

  /** The error for the caller. The cause is logged under the request id of the first such call. */
  toCallerError(call: Call, error: unknown): AppError {
    const fields = { method: call.plan.name, request_id: call.requestId };
    const isDefect = !(error instanceof AppError) || error.reason === "INTERNAL";
    if (isDefect) {
      const kind = `${call.plan.name}: ${kindOfError(error)}`;
      this.#defects.failed(kind, error, { ...fields, request: requestOf(call) });
    } else if (error.cause !== undefined && error.row.http >= 500) {
      this.#dependencies.failed(kindOfError(error), error, fields);
    } else {
      this.checkEnds();
    }
    return error instanceof AppError
      ? stamped(error, call.requestId)
      : new AppError("INTERNAL", { requestId: call.requestId });
  }
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
