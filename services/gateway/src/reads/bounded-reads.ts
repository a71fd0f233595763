// Bounds the time of reads. A read that cannot be consistent within ten seconds is refused, also when the service
// that should refuse it is frozen.
import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { policy } from "@muster/contracts/muster/options/v1/options_pb";
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import { type Caller, CONSISTENCY } from "@muster/rpc";

const RETRY_MS = 1_000;

/** Callers whose reads end after `readDeadlineMs` with 503. */
export function boundedReads(
  caller: (method: DescMethod) => Caller,
  clock: Clock,
  readDeadlineMs: number,
): (method: DescMethod) => Caller {
  return (method) =>
    isBoundedRead(method) ? boundedCaller(caller(method), clock, readDeadlineMs) : caller(method);
}

/** Methods with GET, and methods with POST that only need a permission to read. */
function isBoundedRead(method: DescMethod): boolean {
  const { permission, deadlineSeconds } = getOption(method, policy);
  if (method.methodKind !== "unary" || deadlineSeconds > 0) return false;
  return getOption(method, http).pattern.case === "get" || permission.endsWith(".read");
}

function boundedCaller(caller: Caller, clock: Clock, readDeadlineMs: number): Caller {
  return {
    async unary(method, request, options) {
      const limitMs = clock.nowMs() + readDeadlineMs;
      const { deadlineMs = Number.POSITIVE_INFINITY } = options;
      if (deadlineMs <= limitMs) return caller.unary(method, request, options);
      try {
        return await caller.unary(method, request, { ...options, deadlineMs: limitMs });
      } catch (error) {
        const isLate = error instanceof AppError && error.reason === "DEADLINE_EXCEEDED";
        if (!isLate) throw error;
        const isEventual = options.headers.get(CONSISTENCY) === "eventual";
        throw new AppError(isEventual ? "UNAVAILABLE" : "NOT_YET_CONSISTENT", {
          retryAfterMs: RETRY_MS,
          ...(error.requestId !== undefined && { requestId: error.requestId }),
          cause: error,
        });
      }
    },
    stream: (method, requests, options) => caller.stream(method, requests, options),
  };
}
