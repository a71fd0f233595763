// Logs a line and records an observation per call. The outermost interceptor.
import { Access } from "@muster/contracts/muster/options/v1/options_pb";
import type { Clock } from "@muster/core";
import { AppError, reasonTable } from "@muster/errors";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { Call } from "./call.ts";
import type { Around } from "./interceptor.ts";

export function logAndMetrics(deps: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}): Around {
  const { clock, log } = deps;
  const durations = deps.metrics.histogram("muster_rpc_duration_seconds", "Duration of an RPC call.", [
    "method",
    "code",
  ]);

  function record(call: Call, startMs: number, error: AppError | undefined): void {
    const durationMs = clock.monotonicMs() - startMs;
    const code = error?.codeName ?? "ok";
    durations.observe({ method: call.plan.name, code }, durationMs / 1000);
    const principal = call.caller;
    const fields = {
      method: call.plan.name,
      code,
      reason: error?.reason,
      duration_ms: Math.round(durationMs * 1000) / 1000,
      request_id: call.requestId,
      principal: principal?.id,
      organization_id: principal?.organizationId,
    };
    if (error?.reason === "INTERNAL") log.error(fields, "call");
    // Services call each other all the time, so only failures are logged at info.
    else if (error === undefined && call.plan.policy.access === Access.INTERNAL) log.debug(fields, "call");
    else log.info(fields, "call");
  }

  return {
    async unary(call, next) {
      const startMs = clock.monotonicMs();
      try {
        const message = await next(call);
        record(call, startMs, undefined);
        return message;
      } catch (error) {
        record(call, startMs, asAppError(error));
        throw error;
      }
    },
    async *stream(call, next) {
      const startMs = clock.monotonicMs();
      // The outcome if the caller stops reading before the end.
      let outcome: AppError | undefined = new AppError("CANCELED");
      try {
        yield* next(call);
        outcome = undefined;
      } catch (error) {
        outcome = asAppError(error);
        throw error;
      } finally {
        record(call, startMs, outcome);
      }
    },
  };
}

function asAppError(error: unknown): AppError {
  return error instanceof AppError
    ? error
    : new AppError("INTERNAL", { message: reasonTable.INTERNAL.message, cause: error });
}
