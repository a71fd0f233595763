// Ends a call when its deadline passes or its caller disconnects, even if the handler hangs. The handler's
// signal aborts, and the caller receives the response at once.
import type { Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import { Interruptible } from "../streams/interruptible.ts";
import type { Call } from "./call.ts";
import type { Around } from "./interceptor.ts";

export const UNARY_DEADLINE_MS_DEFAULT = 30_000;

export function deadline(deps: { readonly clock: Clock }): Around {
  const { clock } = deps;
  return {
    unary(call, next) {
      call.deadlineMs ??=
        clock.nowMs() + (call.plan.policy.deadlineSeconds * 1000 || UNARY_DEADLINE_MS_DEFAULT);
      return new Promise((resolve, reject) => {
        const unwatch = watch(clock, call);
        const onAbort = (): void => {
          unwatch();
          reject(call.signal.reason);
        };
        if (call.signal.aborted) return onAbort();
        call.signal.addEventListener("abort", onAbort, { once: true });
        next(call).then(resolve, reject).finally(unwatch);
      });
    },
    async *stream(call, next) {
      const unwatch = watch(clock, call);
      const responses = new Interruptible(next(call), call.signal);
      try {
        yield* responses;
      } finally {
        unwatch();
        call.end();
      }
    },
  };
}

/** Aborts the call at its deadline, or when its caller aborts. Returns a function that ends the watch. */
function watch(clock: Clock, call: Call): () => void {
  const { deadlineMs } = call;
  const outer = call.options.signal;
  const ended = new AbortController();
  // The wall clock may step from here on, so only the remaining time is used.
  const endMs = deadlineMs === undefined ? Infinity : clock.monotonicMs() + deadlineMs - clock.nowMs();
  const onOuterAbort = (): void => {
    if (outer.reason instanceof AppError) call.abort(outer.reason);
    else
      call.abort(
        new AppError(clock.monotonicMs() >= endMs - MOUNT_TIMER_SLACK_MS ? "DEADLINE_EXCEEDED" : "CANCELED"),
      );
  };
  if (outer.aborted) onOuterAbort();
  else outer.addEventListener("abort", onOuterAbort, { once: true });
  if (endMs !== Infinity) void expire(clock, call, endMs, ended.signal);
  return () => {
    outer.removeEventListener("abort", onOuterAbort);
    ended.abort(ENDED);
  };
}

async function expire(clock: Clock, call: Call, endMs: number, ended: AbortSignal): Promise<void> {
  while (!ended.aborted) {
    const restMs = endMs - clock.monotonicMs();
    if (restMs <= 0) return call.abort(new AppError("DEADLINE_EXCEEDED"));
    await clock.sleep(Math.min(restMs, TIMER_MS_MAX), ended);
  }
}

/** A mount enforces the same deadline with its own timer, which may fire slightly earlier. */
const MOUNT_TIMER_SLACK_MS = 20;
/** Node's timers overflow beyond 2^31 - 1 ms. */
const TIMER_MS_MAX = 2_000_000_000;
/** A constant reason saves a DOMException per call. */
const ENDED = "ended";
