// Bounds the time of reads. A read that cannot be consistent within ten seconds is refused, also when the service
// that should refuse it is frozen.
import { type DescMethod, getOption, type Message } from "@bufbuild/protobuf";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { policy } from "@muster/contracts/muster/options/v1/options_pb";
import type { Clock } from "@muster/core";
import { AppError, type AppErrorOptions } from "@muster/errors";
import { type Caller, type CallOptions, CONSISTENCY } from "@muster/rpc";

const RETRY_MS = 1_000;
/** A constant reason saves a DOMException for each stream. */
const BEGUN = "begun";

/** Callers whose reads end after `readDeadlineMs` with 503. */
export function boundedReads(
  caller: (method: DescMethod) => Caller,
  clock: Clock,
  readDeadlineMs: number,
): (method: DescMethod) => Caller {
  return (method) =>
    isBoundedRead(method) ? boundedCaller(caller(method), clock, readDeadlineMs) : caller(method);
}

/** Methods with GET, streamed bodies too, and methods with POST that only need a permission to read. */
function isBoundedRead(method: DescMethod): boolean {
  const { permission, deadlineSeconds } = getOption(method, policy);
  if (deadlineSeconds > 0) return false;
  const isGet = getOption(method, http).pattern.case === "get";
  return isGet || (method.methodKind === "unary" && permission.endsWith(".read"));
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
        throw tooLate(options, {
          cause: error,
          ...(error.requestId !== undefined && { requestId: error.requestId }),
        });
      }
    },
    stream(method, requests, options) {
      const call = new AbortController();
      const response = caller.stream(method, requests, { ...options, signal: call.signal });
      const messages = beginningInTime(response.messages, { call, options, clock, readDeadlineMs });
      return { messages, headers: response.headers };
    },
  };
}

interface Stream {
  /** Ends the call to the service. */
  readonly call: AbortController;
  readonly options: CallOptions;
  readonly clock: Clock;
  readonly readDeadlineMs: number;
}

/** The messages, the first of which must arrive in time. The rest takes as long as its reader needs. */
async function* beginningInTime(
  messages: AsyncIterable<Message>,
  { call, options, clock, readDeadlineMs }: Stream,
): AsyncIterable<Message> {
  const { signal } = options;
  const abort = (): void => call.abort(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  const begun = new AbortController();
  void clock.sleep(readDeadlineMs, begun.signal).then(() => {
    if (!begun.signal.aborted) call.abort(tooLate(options));
  });
  try {
    for await (const message of messages) {
      begun.abort(BEGUN);
      yield message;
    }
  } finally {
    begun.abort(BEGUN);
    signal.removeEventListener("abort", abort);
  }
}

function tooLate({ headers }: CallOptions, more: AppErrorOptions = {}): AppError {
  const isEventual = headers.get(CONSISTENCY) === "eventual";
  return new AppError(isEventual ? "UNAVAILABLE" : "NOT_YET_CONSISTENT", { retryAfterMs: RETRY_MS, ...more });
}
